// Small random models for tests, and a forward pass of them that is slow, in double, and obviously right.
//
// The reference knows the architecture from TinyModel alone; it shares no code and no configuration reader with what it
// judges.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "tensor/dtype.h"
#include "tensor/matrix.h"

namespace quernel::test {

struct TinyLayer {
  std::int64_t window = 0;  // 0: none
  bool rotates = true;
  double theta = 10000.0;
  double linear_factor = 1.0;  // frequencies are divided by it
};

// What a model is. config holds what its config.json says beyond the sizes.
struct TinyModel {
  std::string architecture, model_type;
  Json config = Json::object();
  std::int64_t vocab = 61, hidden = 40, intermediate = 72, heads = 6, kv_heads = 2, head_dim = 12, rotary_dim = 12;
  std::vector<TinyLayer> layers = std::vector<TinyLayer>(3);
  double eps = 1e-5;
  bool tied = false, fused = false, gelu = false;
  bool qkv_bias = false, out_bias = false, mlp_bias = false;
  bool norm_before = true, norm_after = false, head_norm = false, full_norm = false, norm_adds_one = false;
  double embedding_scale = 1.0, attention_scale = 0.0 /* 0: 1/sqrt(head_dim) */, residual_scale = 1.0,
         logit_scale = 1.0;
  double attention_cap = 0.0, logit_cap = 0.0;
  DType dtype = DType::f32;

  struct Tensor {
    std::int64_t rows, cols;  // rows == 0: a vector of cols
    std::vector<float> values;
  };
  std::map<std::string, Tensor> tensors;

  // Draws all tensors; norms and biases are far from neutral, so that a missing one shows.
  void draw(std::uint64_t seed);
  // A Hugging Face folder: config.json and model.safetensors.
  void write(const std::string& folder) const;
  [[nodiscard]] std::int64_t num_layers() const { return static_cast<std::int64_t>(layers.size()); }
};

// One model for each row of the architecture table.
TinyModel tiny_llama();
std::vector<TinyModel> tiny_models();

std::vector<std::int32_t> random_tokens(std::int64_t count, std::int64_t vocab, std::uint64_t seed);

// Logits [tokens, vocab] of one sequence; hidden, if not null, receives the output of the last block [tokens, hidden].
MatrixF64 reference_logits(const TinyModel& model, const std::vector<std::int32_t>& tokens,
                           MatrixF64* hidden = nullptr);

}  // namespace quernel::test
