// The registry of checkpoint formats: what each can hold, and how it lays out one quantized module.
//
// A format is one pair of files with one row here; the command line, hf_checkpoint and verify read the row.
//
// Shapes   N = rows (out_features), K = cols (in_features), G = groups of a row
// Errors   check: unsupported, naming the module, the reason and the nearest valid option
// Threads  pure functions
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "codec/integer_matrix.h"
#include "io/safetensors_writer.h"
#include "model/modules.h"
#include "model/quantized_model.h"

namespace quernel::exporting {

// What is quantized, and what of the same kind stays dense.
struct FormatInput {
  model::QuantizationInfo info;
  std::vector<model::LinearModule> modules;        // quantized ones, in checkpoint order
  std::vector<std::string> dense_modules;          // linear modules of the blocks that stay dense
  bool scattered_groups = false;                   // act-order whose groups follow the order of the columns
  bool compact_scales = false;                     // ExportOptions
  bool online_transforms = false;                  // the model needs a transform while it runs (model/config.h)
  std::map<std::string, std::int64_t> outliers{};  // how many a module has, by name; modules not listed have none
  DType model_dtype = DType::f16;                  // what config.json calls the type of the weights: F16, BF16 or F32
};

// Bytes of one tensor of a module (export/packer.h makes them of the codec's functions).
using Packer = Result<std::vector<std::byte>> (*)(const FormatInput& input, const codec::IntegerMatrix& matrix);

struct Format {
  const char* name;     // as on the command line: "gptq"
  const char* summary;  // one sentence
  std::vector<int> bits;
  bool asymmetric;
  bool scattered_groups;
  bool tail_groups;        // K need not be a multiple of the group size
  bool two_level;          // holds matrices of two levels, and no others
  bool online_transforms;  // read by a runtime that does them: ours
  bool outliers;           // holds single weights beside the codes
  std::vector<DType> scale_dtypes;

  // Everything that cannot be held or that no reader of the format takes.
  Status (*check)(const FormatInput& input);
  // What can be held, but is refused or misread by some engine: one sentence each.
  std::vector<std::string> (*notes)(const FormatInput& input);
  // Tensors of one module, names complete. The first holds the codes.
  std::vector<io::PlannedTensor> (*plan)(const FormatInput& input, const model::LinearModule& module);
  // One for each tensor of plan(), in its order; a plan may leave out the last ones.
  std::vector<Packer> pack;
  // quantization_config of config.json.
  Json (*config)(const FormatInput& input, const std::string& version);
  // Name of a file that holds the same object beside config.json; null where there is none.
  const char* config_file;
};

std::span<const Format> formats();
// Errors: unsupported, listing the names there are.
Result<const Format*> find_format(const std::string& name);

// Refuses, before any work is done, what the format cannot hold.
Status check_holdable(const Format& format, const FormatInput& input);
// The same by name, for all linear modules of a model, layer by layer.
Status check_holdable(const std::string& format, const model::QuantizationInfo& info,
                      const std::vector<std::vector<model::LinearModule>>& layers);

// The largest group size of 16 .. 1024 (powers of two) up to `wanted` that divides K of every module; -1 if there is
// none.
std::int64_t nearest_group_size(const std::vector<model::LinearModule>& modules, std::int64_t wanted);

// The matrix is valid and is what `info` and `module` say. Errors: invalid_argument, naming module and field.
Status check_matrix(const FormatInput& input, const model::LinearModule& module, const codec::IntegerMatrix& matrix);

}  // namespace quernel::exporting
