#include "model/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <unordered_map>
#include <unordered_set>

#include "codec/int_pack_compressed_tensors.h"
#include "codec/int_pack_gptq.h"
#include "model/opened_model.h"
#include "model/packed_module.h"

namespace quernel::model {

struct Checkpoint::State {
  std::string path;
  OpenedModel model;
  std::optional<QuantizationInfo> quantization;
  std::unordered_map<std::string, std::size_t> by_name;
  std::unordered_map<std::string, PackedModule> packed;  // by module name
  std::unordered_set<std::string> expected;

  [[nodiscard]] Result<std::size_t> index_of(const std::string& name) const {
    const auto found = by_name.find(name);
    if (found != by_name.end()) return found->second;
    return Error(Fault::not_found, "no such tensor").in_file(path).in_tensor(name);
  }
  Status check_tensors();
  [[nodiscard]] Status check_expected(const ExpectedTensor& tensor) const;
  void list_extra();
};

namespace {

Error shape_error(const TensorInfo& info, const Shape& expected) {
  return Error(Fault::corrupt, "tensor does not have the shape that the configuration gives")
      .in_file(info.file)
      .in_tensor(info.name)
      .expect(quernel::to_string(expected), quernel::to_string(info.shape));
}

bool is_decodable(const TensorInfo& info, CheckpointKind kind) {
  if (kind == CheckpointKind::gguf) return true;  // types are checked where the file is opened
  const std::optional<DType> dtype = dtype_from_name(info.stored_type);
  return dtype && is_float(*dtype);
}

Result<OpenedModel> open_model(const std::string& path) {
  std::error_code failed;
  const auto status = std::filesystem::status(path, failed);
  if (!std::filesystem::exists(status)) return Error(Fault::not_found, "no such model").in_file(path);
  if (std::filesystem::is_directory(status)) return open_folder(path);
  if (path.ends_with(".safetensors") || path.ends_with(".json"))
    return Error(Fault::unsupported, "a model is a folder or a .gguf file")
        .in_file(path)
        .with_hint("give the folder that holds config.json and the weights");
  return open_gguf(path);
}

}  // namespace

Status check_finite(ConstMatrixView values, const std::string& tensor, const std::string& file) {
  for (std::int64_t row = 0; row < values.rows; ++row) {
    const std::int64_t col = first_nonfinite(values.row(row));
    if (col < 0) continue;
    return Error(Fault::corrupt, "weight is not finite")
        .in_file(file)
        .in_tensor(tensor)
        .expect("finite values", fmt::format("{} in row {}, column {}", values(row, col), row, col));
  }
  return ok_status();
}

Status Checkpoint::State::check_expected(const ExpectedTensor& tensor) const {
  const auto found = by_name.find(tensor.name);
  if (found == by_name.end()) {
    Error error(Fault::corrupt, "tensor is missing");
    if (tensor.name == std::string(kHeadModule) + ".weight")
      error.hint = "tie_word_embeddings is false, so the head needs a weight of its own";
    return std::move(error).in_file(path).in_tensor(tensor.name).expect(quernel::to_string(tensor.shape), "nothing");
  }
  const TensorInfo& info = model.tensors[found->second];
  if (info.shape != tensor.shape) return shape_error(info, tensor.shape);
  if (is_decodable(info, model.kind)) return ok_status();
  return Error(Fault::unsupported, "weights of this type cannot be read")
      .in_file(info.file)
      .in_tensor(info.name)
      .expect("F32, BF16, F16 or F64", info.stored_type);
}

Status Checkpoint::State::check_tensors() {
  for (std::size_t i = 0; i < model.tensors.size(); ++i)
    if (!by_name.emplace(model.tensors[i].name, i).second)
      return Error(Fault::corrupt, "two tensors mean the same weight")
          .in_file(model.tensors[i].file)
          .in_tensor(model.tensors[i].name);
  const TensorLookup lookup = [this](const std::string& name) -> const TensorInfo* {
    const auto found = by_name.find(name);
    return found == by_name.end() ? nullptr : &model.tensors[found->second];
  };
  for (const ExpectedTensor& tensor : expected_tensors(model.config)) {
    expected.insert(tensor.name);
    if (tensor.linear_weight && model.quantization) {
      const std::string module = tensor.name.substr(0, tensor.name.size() - std::string(".weight").size());
      QUERNEL_TRY(std::optional<PackedModule> found,
                  find_packed_module(*model.quantization, module, tensor.shape[0], tensor.shape[1], lookup));
      if (found) {
        packed.emplace(module, std::move(*found));
        continue;
      }
    }
    QUERNEL_TRY_STATUS(check_expected(tensor));
  }
  list_extra();
  return ok_status();
}

void Checkpoint::State::list_extra() {
  std::unordered_set<std::string> used = expected;
  used.insert(model.used_by_config.begin(), model.used_by_config.end());
  used.insert(std::string(kHeadModule) + ".weight");  // tied models may ship it all the same
  for (const auto& [name, module] : packed)
    for (const std::string& part : module.tensors()) used.insert(part);
  for (const TensorInfo& info : model.tensors)
    if (!used.contains(info.name)) model.extra.push_back(info.name);
}

Checkpoint::Checkpoint(std::unique_ptr<State> state) : state_(std::move(state)) {}
Checkpoint::~Checkpoint() = default;
Checkpoint::Checkpoint(Checkpoint&&) noexcept = default;
Checkpoint& Checkpoint::operator=(Checkpoint&&) noexcept = default;

Result<Checkpoint> Checkpoint::open(const std::string& path) {
  QUERNEL_TRY(OpenedModel model, open_model(path));
  auto state = std::make_unique<State>();
  state->path = path;
  state->model = std::move(model);
  QUERNEL_TRY_STATUS(state->check_tensors());
  if (state->model.quantization) {
    state->quantization = state->model.quantization->info;
    if (!state->packed.empty()) state->quantization->scale_dtype = state->packed.begin()->second.scale_dtype;
  }
  if (state->model.config.stored_dtype.empty()) {
    const TensorInfo& embedding = state->model.tensors[state->by_name.at(kEmbeddingTensor)];
    const std::string& type = embedding.stored_type;
    state->model.config.stored_dtype = type == "BF16" ? "bfloat16" : type == "F16" ? "float16" : "float32";
  }
  return Checkpoint(std::move(state));
}

const std::string& Checkpoint::path() const { return state_->path; }
CheckpointKind Checkpoint::kind() const { return state_->model.kind; }
const ModelConfig& Checkpoint::config() const { return state_->model.config; }
const std::vector<TensorInfo>& Checkpoint::tensors() const { return state_->model.tensors; }
std::vector<std::string> Checkpoint::files() const { return state_->model.files; }
const Json& Checkpoint::config_json() const { return state_->model.config_json; }
const std::string& Checkpoint::config_obstacle() const { return state_->model.config_obstacle; }
const std::vector<std::string>& Checkpoint::extra_tensors() const { return state_->model.extra; }
std::vector<std::string> Checkpoint::side_files() const { return state_->model.side_files; }
const io::GgufFile* Checkpoint::gguf() const { return state_->model.gguf; }
const std::optional<QuantizationInfo>& Checkpoint::quantization() const { return state_->quantization; }

const TensorInfo* Checkpoint::find(const std::string& name) const {
  const auto found = state_->by_name.find(name);
  return found == state_->by_name.end() ? nullptr : &state_->model.tensors[found->second];
}

Result<TensorView> Checkpoint::view(const std::string& name) const {
  QUERNEL_TRY(const std::size_t index, state_->index_of(name));
  const TensorInfo& info = state_->model.tensors[index];
  QUERNEL_CHECK(info.direct, "view of {}, which must be decoded", name);
  return state_->model.source->view(index);
}

Result<Matrix> Checkpoint::read(const std::string& name) const {
  QUERNEL_TRY(const std::size_t index, state_->index_of(name));
  Result<Matrix> matrix = state_->model.source->read(index);
  if (!matrix.ok()) return std::move(matrix).error().in_file(state_->model.tensors[index].file).in_tensor(name);
  return matrix;
}

std::optional<StoredBlocks> Checkpoint::blocks(const std::string& name) const {
  const auto found = state_->by_name.find(name);
  return found == state_->by_name.end() ? std::nullopt : state_->model.source->blocks(found->second);
}

bool Checkpoint::is_quantized(const std::string& module) const { return state_->packed.contains(module); }

Result<codec::IntegerMatrix> Checkpoint::read_quantized(const std::string& module) const {
  const auto found = state_->packed.find(module);
  if (found == state_->packed.end())
    return Error(Fault::not_found, "module is not quantized").in_file(state_->path).in_tensor(module);
  const ViewLookup view = [this](const std::string& name) -> Result<TensorView> {
    QUERNEL_TRY(const std::size_t index, state_->index_of(name));
    return state_->model.source->view(index);
  };
  Result<codec::IntegerMatrix> matrix = read_packed_module(found->second, view);
  if (!matrix.ok()) {
    const TensorInfo* codes = find(found->second.tensors().front());
    return std::move(matrix).error().in_tensor(module).in_file(codes != nullptr ? codes->file : state_->path);
  }
  return matrix;
}

Result<Matrix> Checkpoint::read_weight(const std::string& module) const {
  if (is_quantized(module)) {
    QUERNEL_TRY(const codec::IntegerMatrix matrix, read_quantized(module));
    return codec::dequantize(matrix);
  }
  if (module == kHeadModule && config().tie_word_embeddings) return read(kEmbeddingTensor);
  return read(module + ".weight");
}

Result<std::optional<Matrix>> Checkpoint::read_bias(const std::string& module) const {
  const std::string name = module + ".bias";
  if (!state_->expected.contains(name)) return std::optional<Matrix>{};
  QUERNEL_TRY(Matrix bias, read(name));
  return std::optional<Matrix>(std::move(bias));
}

Status Checkpoint::check_finite(const std::string& name) const {
  QUERNEL_TRY(const Matrix values, read(name));
  return model::check_finite(values.view(), name, find(name)->file);
}

void Checkpoint::release(const std::string& name) const {
  const auto found = state_->by_name.find(name);
  if (found != state_->by_name.end()) state_->model.source->release(found->second);
}

}  // namespace quernel::model
