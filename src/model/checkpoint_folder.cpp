#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>

#include "io/safetensors_set.h"
#include "model/config_json.h"
#include "model/json_fields.h"
#include "model/opened_model.h"
#include "model/tensor_names.h"
#include "sys/json_file.h"

namespace quernel::model {

namespace {

constexpr const char* kConfigName = "config.json";
constexpr const char* kGenerationName = "generation_config.json";
// Older tools keep quantization_config in a file of its own: GPTQ's in the first, AutoAWQ in the second.
constexpr std::array<const char*, 2> kQuantizeNames{"quantize_config.json", "quant_config.json"};

class FolderSource : public WeightSource {
 public:
  explicit FolderSource(io::SafetensorsSet set) : set_(std::move(set)) {}

  [[nodiscard]] const io::SafetensorsSet& set() const { return set_; }
  [[nodiscard]] Result<TensorView> view(std::size_t index) const override {
    const io::SafetensorsPlace& place = set_.tensors()[index];
    return place.file->view(*place.entry);
  }
  [[nodiscard]] Result<Matrix> read(std::size_t index) const override {
    QUERNEL_TRY(const TensorView stored, view(index));
    return to_matrix(stored);
  }
  void release(std::size_t index) const override {
    const io::SafetensorsPlace& place = set_.tensors()[index];
    place.file->release(*place.entry);
  }

 private:
  io::SafetensorsSet set_;
};

bool has_file(const std::string& folder, const std::string& name) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(std::filesystem::path(folder) / name, ignored);
}

// What stands before "embed_tokens.weight": multimodal wrappers nest the language model, bare models have no "model.".
std::string name_prefix(const io::SafetensorsSet& set) {
  for (const char* prefix : {"model.", "language_model.model.", "model.language_model.", "language_model.", ""})
    if (set.find(std::string(prefix) + "embed_tokens.weight") != nullptr) return prefix;
  return "model.";
}

void list_tensors(const io::SafetensorsSet& set, OpenedModel& model) {
  const std::string prefix = name_prefix(set);
  for (const io::SafetensorsPlace& place : set.tensors()) {
    TensorInfo info;
    info.name = plain_hf_name(place.entry->name, prefix);
    info.shape = place.entry->shape;
    info.stored_type = place.entry->dtype_name;
    info.bytes = place.entry->size_bytes;
    info.file = place.file->path();
    info.direct = place.entry->dtype.has_value() && is_float(*place.entry->dtype);
    model.tensors.push_back(std::move(info));
  }
  for (const io::SafetensorsFile& file : set.files()) model.files.push_back(file.path());
  model.extra = set.unlisted();
}

Status read_config(const std::string& folder, OpenedModel& model) {
  if (!has_file(folder, kConfigName)) {
    Error error(Fault::not_found, "folder has no config.json");
    error.hint = "a GGUF model is given as the .gguf file itself, not as its folder";
    return std::move(error).in_file(folder);
  }
  model.config_file = (std::filesystem::path(folder) / kConfigName).string();
  QUERNEL_TRY(const Json json, sys::read_json_contained(folder, kConfigName));
  QUERNEL_TRY(model.config_json, text_config_json(json, model.config_file));
  QUERNEL_TRY(model.config, config_from_json(model.config_json, model.config_file));
  return ok_status();
}

// Instruct models name their stop tokens here only.
Status add_generation_stops(const std::string& folder, OpenedModel& model) {
  if (!has_file(folder, kGenerationName)) return ok_status();
  QUERNEL_TRY(const Json json, sys::read_json_contained(folder, kGenerationName));
  const std::string file = (std::filesystem::path(folder) / kGenerationName).string();
  if (!json.is_object()) return Error(Fault::corrupt, "not an object").in_file(file);
  Result<std::vector<std::int64_t>> stops = json_int_list(json, "eos_token_id", OptionalInt{});
  if (!stops.ok()) return std::move(stops).error().in_file(file);
  std::vector<std::int64_t>& known = model.config.eos_token_ids;
  for (const std::int64_t id : *stops)
    if (id >= 0 && id < model.config.vocab_size && std::ranges::find(known, id) == known.end()) known.push_back(id);
  model.files.push_back(file);
  return ok_status();
}

Status read_quantization(const std::string& folder, OpenedModel& model) {
  const Json* object = json_member(model.config_json, "quantization_config");
  std::string file = model.config_file;
  Json alone;
  for (const char* name : kQuantizeNames) {
    if (object != nullptr || !has_file(folder, name)) continue;
    QUERNEL_TRY(alone, sys::read_json_contained(folder, name));
    object = &alone;
    file = (std::filesystem::path(folder) / name).string();
    model.files.push_back(file);
  }
  if (object == nullptr) return ok_status();
  Result<QuantizationConfig> config = read_quantization_config(*object);
  if (!config.ok()) return std::move(config).error().in_file(file);
  model.quantization = std::move(*config);
  return ok_status();
}

bool is_side_file(std::string_view name) {
  constexpr std::array<std::string_view, 18> kNames{"tokenizer.json",
                                                    "tokenizer_config.json",
                                                    "special_tokens_map.json",
                                                    "tokenizer.model",
                                                    "added_tokens.json",
                                                    "vocab.json",
                                                    "vocab.txt",
                                                    "merges.txt",
                                                    "generation_config.json",
                                                    "chat_template.jinja",
                                                    "chat_template.json",
                                                    "preprocessor_config.json",
                                                    "processor_config.json",
                                                    "README.md",
                                                    "tekken.json",
                                                    "spiece.model",
                                                    "sentencepiece.bpe.model",
                                                    "USE_POLICY.md"};
  constexpr std::array<std::string_view, 3> kLegal{"LICENSE", "LICENCE", "NOTICE"};
  if (std::ranges::find(kNames, name) != kNames.end() || name.ends_with(".py")) return true;
  return std::ranges::any_of(kLegal, [&](std::string_view prefix) { return name.starts_with(prefix); });
}

std::vector<std::string> list_side_files(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(folder, failed)) {
    const std::string name = entry.path().filename().string();
    if (is_side_file(name) && has_file(folder, name)) names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace

Result<OpenedModel> open_folder(const std::string& folder) {
  OpenedModel model;
  model.kind = CheckpointKind::hugging_face;
  QUERNEL_TRY_STATUS(read_config(folder, model));
  QUERNEL_TRY(io::SafetensorsSet set, io::SafetensorsSet::open(folder));
  auto source = std::make_unique<FolderSource>(std::move(set));
  list_tensors(source->set(), model);
  model.source = std::move(source);
  model.files.push_back(model.config_file);
  QUERNEL_TRY_STATUS(read_quantization(folder, model));
  QUERNEL_TRY_STATUS(add_generation_stops(folder, model));
  model.side_files = list_side_files(folder);
  return model;
}

}  // namespace quernel::model
