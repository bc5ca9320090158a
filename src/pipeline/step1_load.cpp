#include "pipeline/step1_load.h"

#include <utility>

#include "pipeline/module_filter.h"

namespace quernel::pipeline {

namespace {

std::int64_t count_elements(const model::Checkpoint& checkpoint) {
  std::int64_t total = 0;
  for (const model::TensorInfo& tensor : checkpoint.tensors()) {
    std::int64_t elements = 1;
    for (const std::int64_t extent : tensor.shape) elements *= extent;
    total += elements;
  }
  return total;
}

}  // namespace

Result<LoadedSource> step1_load(const QuantizeJob& job) {
  QUERNEL_TRY(model::Checkpoint checkpoint, model::Checkpoint::open(job.source));
  if (checkpoint.quantization().has_value())
    return Error(Fault::unsupported, "the source is quantized already")
        .in_file(job.source)
        .expect("dense weights or GGUF", checkpoint.quantization()->method)
        .with_hint("quantize the model it was made from");
  QUERNEL_TRY(const ModuleFilter filter, ModuleFilter::create(job.ignore));
  QUERNEL_TRY(std::vector<FileIdentity> files, identify_files(checkpoint.files()));
  LoadedSource source{std::move(checkpoint), std::move(files), {}, 0, 0, 0};
  const model::ModelConfig& config = source.checkpoint.config();
  source.parameters = count_elements(source.checkpoint);
  for (const FileIdentity& file : source.files)
    if (file.name.ends_with(".safetensors") || file.name.ends_with(".gguf")) source.bytes += file.bytes;
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer) {
    std::vector<model::LinearModule> chosen;
    for (model::LinearModule& module : model::linear_modules(config, layer)) {
      if (filter.matches(module.name)) continue;
      source.quantized_parameters += module.rows * module.cols;
      chosen.push_back(std::move(module));
    }
    source.layers.push_back(std::move(chosen));
  }
  if (source.quantized_parameters == 0)
    return Error(Fault::invalid_argument, "no module is left to quantize").with_hint("--ignore leaves all of them out");
  return source;
}

}  // namespace quernel::pipeline
