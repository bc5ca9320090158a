// Writing a quantized model as Hugging Face folders, one per format.
//
// Layout    OUT/ for one format, OUT/<format>/ for several: model*.safetensors (+ index), config.json with
//           quantization_config, tokenizer and side files, README.md, quernel/manifest.json, quernel/SHA256SUMS
// Exact     dense tensors of a folder keep their bytes; the output depends on the source, the matrices and the options
//           alone
// Memory    one module and one dense tensor at a time, beside what `read` keeps
// Protocol  quernel/manifest.json marks the folder first; weights, side files, config.json; manifest and checksums
//           last. Each file appears whole or not at all
// Errors    unsupported (format cannot hold it), invalid_argument (output folder, a matrix that is not as planned),
//           corrupt (source tensor not finite), io_error, out_of_disk
// Threads   one job a folder
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "export/dense_tensors.h"
#include "export/format.h"
#include "export/output_folder.h"
#include "model/checkpoint.h"
#include "model/quantized_model.h"
#include "sys/progress.h"

namespace quernel::exporting {

// Gives the matrix of a module; asked for several times a module, in the order of the files.
using MatrixPointer = std::shared_ptr<const codec::IntegerMatrix>;
using MatrixReader = std::function<Result<MatrixPointer>(const std::string& module)>;

// Points into the model, which must outlive the reader.
MatrixReader reader_of(const model::QuantizedModel& model);

struct ExportInput {
  const model::Checkpoint* source = nullptr;
  model::QuantizationInfo info;
  std::vector<std::string> modules;  // names of the quantized ones
  MatrixReader read;
  TensorOrigin origin{};  // of tensors that are not the source's own; may be empty
};
ExportInput input_of(const model::Checkpoint& source, const model::QuantizedModel& model);

struct ExportOptions {
  std::vector<std::string> formats{"compressed-tensors"};
  std::uint64_t max_shard_bytes = 5'000'000'000;
  DType gguf_dense_dtype = DType::f16;  // of tensors that a GGUF source keeps dense; F16, BF16 or F32
  bool compact_scales = false;  // compressed-tensors: 16-bit scales even where exact loading in float32 needs 32
  Existing existing = Existing::refuse;
  std::string base_model;   // for the model card; empty: the name of the source
  std::string prepared_by;  // transforms between the base model and the source that is exported; empty: none
};

struct ExportedCheckpoint {
  std::string format;
  std::string folder;
  std::vector<std::string> files;     // relative to folder, SHA256SUMS last
  std::uint64_t tensor_bytes = 0;     // of all tensors
  std::uint64_t quantized_bytes = 0;  // of the packed modules
  std::vector<std::string> notes;     // what some engine refuses, what was not copied
};

// What each format would be given: fails on a module name that the model does not have.
Result<FormatInput> format_input(const model::Checkpoint& source, const model::QuantizationInfo& info,
                                 const std::vector<std::string>& modules, const ExportOptions& options);

// All that can be refused before the first weight is quantized: formats, group sizes, types, the output folder.
Status check_export(const model::Checkpoint& source, const model::QuantizationInfo& info,
                    const std::vector<std::string>& modules, const std::string& output, const ExportOptions& options);

Result<std::vector<ExportedCheckpoint>> export_checkpoints(const ExportInput& input, const std::string& output,
                                                           const ExportOptions& options, sys::ProgressSink& progress);

// Folders of the checkpoints that `output` holds: itself, or one per format.
std::vector<std::string> checkpoint_folders(const std::string& output, const std::vector<std::string>& formats);

}  // namespace quernel::exporting
