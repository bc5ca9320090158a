#include <fmt/format.h>

#include <vector>

#include "codec/gguf_blocks.h"
#include "codec/gguf_split.h"
#include "codec/gguf_types.h"
#include "io/gguf.h"
#include "model/config_gguf.h"
#include "model/opened_model.h"
#include "model/tensor_names.h"

namespace quernel::model {

namespace {

class GgufSource : public WeightSource {
 public:
  GgufSource(io::GgufFile file, std::vector<GgufRole> roles) : file_(std::move(file)), roles_(std::move(roles)) {}

  [[nodiscard]] const io::GgufFile& file() const { return file_; }
  [[nodiscard]] Result<TensorView> view(std::size_t index) const override { return file_.view(file_.tensors()[index]); }
  [[nodiscard]] Result<Matrix> read(std::size_t index) const override;
  [[nodiscard]] std::optional<StoredBlocks> blocks(std::size_t index) const override;
  void release(std::size_t index) const override { file_.release(file_.tensors()[index]); }

 private:
  io::GgufFile file_;
  std::vector<GgufRole> roles_;  // by tensor
};

void subtract_one(Matrix& values) {
  for (std::int64_t i = 0; i < values.size(); ++i) values.data()[i] -= 1.0F;
}

// A vector is one row, except where its elements are the rows of a bias in pairs.
Matrix permute_vector(const Matrix& values, std::int64_t pair_dim) {
  Matrix out = Matrix::uninitialized(1, values.cols());
  for (std::int64_t i = 0; i < values.cols(); ++i) out.data()[i] = values.data()[gguf_pair_row(i, pair_dim)];
  return out;
}

Result<Matrix> decode_rows(const StoredBlocks& stored) {
  Matrix out = Matrix::uninitialized(stored.rows, stored.cols);
  for (std::int64_t row = 0; row < stored.rows; ++row)
    QUERNEL_TRY_STATUS(codec::dequantize_gguf(stored.type, stored.row(row), out.row(row)));
  return out;
}

Result<Matrix> GgufSource::read(std::size_t index) const {
  const io::GgufTensor& tensor = file_.tensors()[index];
  const GgufRole& role = roles_[index];
  if (tensor.shape.empty() || tensor.shape.size() > 2)
    return Error(Fault::unsupported, "tensor is neither a vector nor a matrix").in_tensor(tensor.name);
  const bool is_vector = tensor.shape.size() == 1;
  QUERNEL_TRY(Matrix values, decode_rows({static_cast<codec::GgmlType>(tensor.type), is_vector ? 1 : tensor.shape[0],
                                          tensor.shape.back(), file_.bytes(tensor), is_vector ? 0 : role.pair_dim}));
  if (role.minus_one) subtract_one(values);
  if (is_vector && role.pair_dim > 0) return permute_vector(values, role.pair_dim);
  return values;
}

std::optional<StoredBlocks> GgufSource::blocks(std::size_t index) const {
  const io::GgufTensor& tensor = file_.tensors()[index];
  const auto type = static_cast<codec::GgmlType>(tensor.type);
  if (tensor.shape.size() != 2 || roles_[index].minus_one || !codec::gguf_kind(type)) return std::nullopt;
  return StoredBlocks{type, tensor.shape[0], tensor.shape[1], file_.bytes(tensor), roles_[index].pair_dim};
}

Status check_type(const io::GgufFile& file, const io::GgufTensor& tensor) {
  const codec::GgmlTypeTraits* traits = codec::find_ggml_type(tensor.type);
  if (traits != nullptr && traits->decodable) return ok_status();
  return Error(Fault::unsupported, fmt::format("tensor type {} cannot be decoded", tensor.type_name))
      .in_file(file.path())
      .in_tensor(tensor.name);
}

}  // namespace

std::span<const std::byte> StoredBlocks::row(std::int64_t row) const {
  const std::size_t stride = bytes.size() / static_cast<std::size_t>(rows);
  const std::int64_t source = pair_dim > 0 ? gguf_pair_row(row, pair_dim) : row;
  return bytes.subspan(static_cast<std::size_t>(source) * stride, stride);
}

Result<OpenedModel> open_gguf(const std::string& path) {
  QUERNEL_TRY(io::GgufFile file, io::GgufFile::open(path));
  OpenedModel model;
  model.kind = CheckpointKind::gguf;
  QUERNEL_TRY(GgufConfig config, config_from_gguf(file));
  model.config = std::move(config.config);
  model.config_json = std::move(config.json);
  model.config_obstacle = std::move(config.obstacle);
  model.config_file = path;
  model.files.push_back(path);

  const auto by_name = gguf_roles(model.config);
  std::vector<GgufRole> roles;
  for (const io::GgufTensor& tensor : file.tensors()) {
    const auto found = by_name.find(tensor.name);
    const bool known = found != by_name.end();
    if (known) QUERNEL_TRY_STATUS(check_type(file, tensor));
    roles.push_back(known ? found->second : GgufRole{.hf_name = tensor.name});
    const GgufRole& role = roles.back();
    TensorInfo info{role.hf_name, tensor.shape, tensor.type_name, tensor.size_bytes, path, false};
    info.direct = io::gguf_plain_dtype(tensor.type).has_value() && role.pair_dim == 0 && !role.minus_one;
    model.tensors.push_back(std::move(info));
  }
  model.used_by_config.push_back("rope_freqs.weight");
  auto source = std::make_unique<GgufSource>(std::move(file), std::move(roles));
  model.gguf = &source->file();
  model.source = std::move(source);
  return model;
}

}  // namespace quernel::model
