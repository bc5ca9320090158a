#include "runtime/layer_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "base/check.h"
#include "tensor/half.h"

namespace quernel::runtime {
namespace {

using model::Checkpoint;
using model::ModelConfig;

bool aligned(const void* pointer, std::size_t bytes) { return reinterpret_cast<std::uintptr_t>(pointer) % bytes == 0; }

Error shape_error(const Checkpoint& checkpoint, const std::string& tensor, const std::string& expected,
                  const std::string& found) {
  return Error(Fault::corrupt, "a tensor's shape does not fit the model")
      .in_file(checkpoint.path())
      .in_tensor(tensor)
      .expect(expected, found);
}

// In place where the file's element type and alignment allow it, else decoded. Shape checked by the caller.
Result<LinearWeight> load_weight(const Checkpoint& checkpoint, const std::string& module) {
  const std::string name = module + ".weight";
  const model::TensorInfo* info = checkpoint.find(name);
  if (info != nullptr && info->direct && !checkpoint.is_quantized(module)) {
    QUERNEL_TRY(const TensorView view, checkpoint.view(name));
    const std::byte* bytes = view.bytes.data();
    const bool matrix = view.shape.size() == 2;
    LinearWeight weight;
    if (matrix && view.dtype == DType::f32 && aligned(bytes, alignof(float))) {
      weight.rows = view.shape[0];
      weight.cols = view.shape[1];
      weight.f32 = {reinterpret_cast<const float*>(bytes), weight.rows, weight.cols};
      return weight;
    }
    if (matrix && view.dtype == DType::bf16 && aligned(bytes, alignof(std::uint16_t))) {
      weight.rows = view.shape[0];
      weight.cols = view.shape[1];
      weight.bf16 = {reinterpret_cast<const std::uint16_t*>(bytes), weight.rows, weight.cols};
      return weight;
    }
  }
  QUERNEL_TRY(Matrix matrix, checkpoint.read_weight(module));
  return own_weight(std::move(matrix));
}

Result<LinearWeight> load_checked(const Checkpoint& checkpoint, const std::string& module, std::int64_t rows,
                                  std::int64_t cols) {
  QUERNEL_TRY(LinearWeight weight, load_weight(checkpoint, module));
  if (weight.rows != rows || weight.cols != cols) {
    return shape_error(checkpoint, module + ".weight", to_string(Shape{rows, cols}),
                       to_string(Shape{weight.rows, weight.cols}));
  }
  return weight;
}

LinearWeight row_range(const LinearWeight& whole, std::int64_t first_row, std::int64_t num_rows) {
  LinearWeight part;
  part.rows = num_rows;
  part.cols = whole.cols;
  part.owned = whole.owned;
  if (whole.f32.data != nullptr) part.f32 = whole.f32.row_block(first_row, num_rows);
  if (whole.bf16.data != nullptr) part.bf16 = whole.bf16.row_block(first_row, num_rows);
  return part;
}

Status load_module(const Checkpoint& checkpoint, const model::LinearModule& module, LayerWeights& layer) {
  QUERNEL_TRY(const LinearWeight whole, load_checked(checkpoint, module.name, module.rows, module.cols));
  QUERNEL_TRY(const std::optional<Matrix> bias, checkpoint.read_bias(module.name));
  if (bias && bias->size() != module.rows) {
    return shape_error(checkpoint, module.name + ".bias", to_string(Shape{module.rows}),
                       to_string(Shape{bias->size()}));
  }
  for (const model::ModulePart& part : module.parts) {
    LinearWeight& linear = layer.linears[static_cast<std::size_t>(part.linear)];
    linear = row_range(whole, part.first_row, part.num_rows);
    if (bias) linear.bias.assign(bias->data() + part.first_row, bias->data() + part.first_row + part.num_rows);
  }
  return ok_status();
}

// A norm's gain as it multiplies.
Status load_gain(const Checkpoint& checkpoint, const std::string& module, std::int64_t size, std::vector<float>& gain) {
  const std::string name = module + ".weight";
  QUERNEL_TRY(const Matrix stored, checkpoint.read(name));
  if (stored.size() != size)
    return shape_error(checkpoint, name, to_string(Shape{size}), to_string(Shape{stored.size()}));
  gain.assign(stored.data(), stored.data() + stored.size());
  if (checkpoint.config().norm_adds_one) {
    for (float& value : gain) value += 1.0F;
  }
  return ok_status();
}

// The two MLP-side names differ: where norms stand on both sides of a branch, "post_attention" is the attention's own.
Status load_norms(const Checkpoint& checkpoint, const std::string& prefix, LayerNorms& layer) {
  const ModelConfig& config = checkpoint.config();
  const auto load = [&](const char* name, std::int64_t size, std::vector<float>& gain) {
    return load_gain(checkpoint, prefix + name, size, gain);
  };
  const std::int64_t width = config.hidden_size;
  if (config.norm_before) {
    const char* mlp_norm = config.norm_after ? "pre_feedforward_layernorm" : "post_attention_layernorm";
    QUERNEL_TRY_STATUS(load("input_layernorm", width, layer.attention_norm));
    QUERNEL_TRY_STATUS(load(mlp_norm, width, layer.mlp_norm));
  }
  if (config.norm_after) {
    QUERNEL_TRY_STATUS(load("post_attention_layernorm", width, layer.attention_post_norm));
    QUERNEL_TRY_STATUS(load("post_feedforward_layernorm", width, layer.mlp_post_norm));
  }
  if (config.qk_norm_per_head || config.qk_norm_full) {
    const bool full = config.qk_norm_full;
    QUERNEL_TRY_STATUS(load("self_attn.q_norm", full ? config.q_size() : config.head_dim, layer.q_norm));
    QUERNEL_TRY_STATUS(load("self_attn.k_norm", full ? config.kv_size() : config.head_dim, layer.k_norm));
  }
  return ok_status();
}

}  // namespace

LinearWeight own_weight(Matrix matrix) {
  LinearWeight weight;
  weight.rows = matrix.rows();
  weight.cols = matrix.cols();
  weight.owned = std::make_shared<const Matrix>(std::move(matrix));
  weight.f32 = weight.owned->view();
  return weight;
}

Matrix widen(const LinearWeight& weight, std::int64_t first_row, std::int64_t num_rows) {
  Matrix out = Matrix::uninitialized(num_rows, weight.cols);
  for (std::int64_t row = 0; row < num_rows; ++row) {
    if (weight.f32.data != nullptr) {
      const std::span<const float> values = weight.f32.row(first_row + row);
      std::copy(values.begin(), values.end(), out.row(row).begin());
    } else {
      bf16_to_float(weight.bf16.row(first_row + row), out.row(row));
    }
  }
  return out;
}

Matrix widen(const LinearWeight& weight) { return widen(weight, 0, weight.rows); }

void LayerWeights::replace(const model::LinearModule& module, Matrix weight) {
  QUERNEL_CHECK(weight.rows() == module.rows && weight.cols() == module.cols, "{}: [{}, {}] for [{}, {}]", module.name,
                weight.rows(), weight.cols(), module.rows, module.cols);
  const LinearWeight whole = own_weight(std::move(weight));
  for (const model::ModulePart& part : module.parts) {
    LinearWeight& linear = linears[static_cast<std::size_t>(part.linear)];
    std::vector<float> bias = std::move(linear.bias);
    linear = row_range(whole, part.first_row, part.num_rows);
    linear.bias = std::move(bias);
  }
}

Result<LayerNorms> load_layer_norms(const Checkpoint& checkpoint, std::int64_t layer) {
  LayerNorms norms;
  QUERNEL_TRY_STATUS(load_norms(checkpoint, fmt::format("model.layers.{}.", layer), norms));
  return norms;
}

Result<LayerWeights> load_layer(const Checkpoint& checkpoint, std::int64_t layer) {
  const ModelConfig& config = checkpoint.config();
  QUERNEL_CHECK(layer >= 0 && layer < config.num_layers, "layer {} of {}", layer, config.num_layers);
  LayerWeights weights;
  weights.index = layer;
  for (const model::LinearModule& module : model::linear_modules(config, layer)) {
    QUERNEL_TRY_STATUS(load_module(checkpoint, module, weights));
  }
  QUERNEL_TRY_STATUS(load_norms(checkpoint, fmt::format("model.layers.{}.", layer), weights));
  return weights;
}

Result<std::vector<float>> load_final_norm(const Checkpoint& checkpoint) {
  std::vector<float> gain;
  QUERNEL_TRY_STATUS(load_gain(checkpoint, "model.norm", checkpoint.config().hidden_size, gain));
  return gain;
}

Result<LinearWeight> load_head(const Checkpoint& checkpoint) {
  const ModelConfig& config = checkpoint.config();
  const char* module = config.tie_word_embeddings ? "model.embed_tokens" : "lm_head";
  return load_checked(checkpoint, module, config.vocab_size, config.hidden_size);
}

Result<EndWeights> load_ends(const Checkpoint& checkpoint) {
  const ModelConfig& config = checkpoint.config();
  EndWeights ends;
  QUERNEL_TRY(ends.embedding, load_checked(checkpoint, "model.embed_tokens", config.vocab_size, config.hidden_size));
  ends.head = ends.embedding;
  if (!config.tie_word_embeddings) {
    QUERNEL_TRY(ends.head, load_head(checkpoint));
  }
  QUERNEL_TRY(ends.final_norm, load_final_norm(checkpoint));
  return ends;
}

}  // namespace quernel::runtime
