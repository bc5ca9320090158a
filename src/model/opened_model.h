// What a checkpoint is made of once it is open: facts as plain data, and the source that gives the bytes of its
// tensors. Internal to this wing; the outside sees model/checkpoint.h.
//
// Threads  const access from any thread
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "model/checkpoint.h"
#include "model/quantization_config.h"

namespace quernel::model {

// Bytes of tensors by their index in OpenedModel::tensors.
class WeightSource {
 public:
  WeightSource() = default;
  virtual ~WeightSource() = default;
  WeightSource(const WeightSource&) = delete;
  WeightSource& operator=(const WeightSource&) = delete;

  [[nodiscard]] virtual Result<TensorView> view(std::size_t index) const = 0;  // as stored
  [[nodiscard]] virtual Result<Matrix> read(std::size_t index) const = 0;      // decoded, in Hugging Face form
  [[nodiscard]] virtual std::optional<StoredBlocks> blocks(std::size_t) const { return std::nullopt; }
  virtual void release(std::size_t index) const = 0;
};

struct OpenedModel {
  CheckpointKind kind = CheckpointKind::hugging_face;
  ModelConfig config;
  Json config_json;
  std::string config_file;  // named in errors about the model's shape
  std::string config_obstacle;
  std::vector<TensorInfo> tensors;          // in file order
  std::vector<std::string> extra;           // names of tensors that nothing uses
  std::vector<std::string> used_by_config;  // names of tensors that are part of the configuration
  std::vector<std::string> files;
  std::vector<std::string> side_files;
  std::optional<QuantizationConfig> quantization;
  std::unique_ptr<WeightSource> source;
  const io::GgufFile* gguf = nullptr;
};

Result<OpenedModel> open_folder(const std::string& folder);
Result<OpenedModel> open_gguf(const std::string& file);

}  // namespace quernel::model
