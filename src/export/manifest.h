// quernel/manifest.json of a checkpoint that we wrote: what every tensor and every quantized module must be, by
// SHA-256.
//
// It also marks the folder as ours. It is written twice: empty and with "complete": false before the first tensor,
// whole at the end; a folder with an incomplete one is the rest of a job that was stopped.
//
// Layout   {"schema": 1, "tool", "format", "complete", "source": {..}, "quantization": {..}, "files": [..],
//           "tensors": {name: {"dtype", "shape", "file", "sha256"}}, "modules": {name: {"tensors": [..],
//           "dequantized_sha256"}}}
// Hash     a tensor's over its stored bytes; a module's over its dequantized weight [rows, cols] as little-endian float
// Errors   corrupt with the field; not_found
// Threads  values and pure functions
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "codec/integer_matrix.h"
#include "tensor/tensor_view.h"

namespace quernel::exporting {

constexpr int kManifestSchema = 1;
constexpr const char* kOwnFolder = "quernel";  // inside a checkpoint; engines never load it
constexpr const char* kManifestPath = "quernel/manifest.json";
constexpr const char* kChecksumPath = "quernel/SHA256SUMS";

struct ManifestTensor {
  std::string dtype;  // "I32"
  Shape shape;
  std::string file;  // plain name
  std::string sha256;
};

struct ManifestModule {
  std::vector<std::string> tensors;
  std::string dequantized_sha256;
};

struct Manifest {
  std::string tool;                  // "quernel 0.1.0"
  std::string format;                // name of its row
  std::vector<std::string> formats;  // of a folder that holds one checkpoint per format; then there are no tensors
  bool complete = false;
  Json source = Json::object();        // path, kind, dense_dtype
  Json quantization = Json::object();  // QuantizationInfo
  std::vector<std::string> files;      // what the job wrote, relative to the folder
  std::map<std::string, ManifestTensor> tensors;
  std::map<std::string, ManifestModule> modules;
};

Json to_json(const Manifest& manifest);
Result<Manifest> manifest_from_json(const Json& json);

Result<Manifest> read_manifest(const std::string& folder);
Status write_manifest(const std::string& folder, const Manifest& manifest);

// SHA-256 of the weight that a matrix stands for, computed by rows without holding it.
std::string dequantized_sha256(const codec::IntegerMatrix& matrix);

}  // namespace quernel::exporting
