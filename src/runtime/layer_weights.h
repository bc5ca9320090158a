// The weights of one decoder block and of the model's ends, ready for the float forward pass.
//
// A weight is a view of mapped bytes (fp32 or bf16, no second copy) or a matrix of its own (decoded from GGUF or from a
// quantized checkpoint, or put in place by the calibrator).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "model/checkpoint.h"
#include "model/modules.h"
#include "tensor/matrix.h"
#include "tensor/tensor_view.h"

namespace quernel::runtime {

// [rows = out_features, cols = in_features]
struct LinearWeight {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  ConstMatrixView f32;                  // data != null: fp32, mapped or owned
  BasicView<const std::uint16_t> bf16;  // data != null: bf16, mapped
  std::shared_ptr<const Matrix> owned;  // keeps f32 alive where it is not mapped
  std::vector<float> bias;              // [rows] or empty
};

// A weight of its own, without a bias.
LinearWeight own_weight(Matrix matrix);
// Rows [first_row, first_row + num_rows) as fp32; all of them.
Matrix widen(const LinearWeight& weight, std::int64_t first_row, std::int64_t num_rows);
Matrix widen(const LinearWeight& weight);

// RMS norm gains as they multiply (Gemma's 1 + w is already added); empty where the architecture has none.
struct LayerNorms {
  std::vector<float> attention_norm, attention_post_norm, mlp_norm, mlp_post_norm;
  std::vector<float> q_norm, k_norm;
};

struct LayerWeights : LayerNorms {
  std::int64_t index = 0;
  std::array<LinearWeight, model::kNumLinears> linears;  // by model::Linear

  [[nodiscard]] const LinearWeight& linear(model::Linear which) const {
    return linears[static_cast<std::size_t>(which)];
  }
  // Puts a module's new weight in place [module.rows, module.cols], over all its parts; biases stay.
  void replace(const model::LinearModule& module, Matrix weight);
};

struct EndWeights {
  LinearWeight embedding;         // [vocab, hidden]
  LinearWeight head;              // [vocab, hidden]; shares the embedding's memory where tied
  std::vector<float> final_norm;  // [hidden]
};

Result<LayerNorms> load_layer_norms(const model::Checkpoint& checkpoint, std::int64_t layer);
Result<LayerWeights> load_layer(const model::Checkpoint& checkpoint, std::int64_t layer);
Result<std::vector<float>> load_final_norm(const model::Checkpoint& checkpoint);
// [vocab, hidden]; the embedding where tied.
Result<LinearWeight> load_head(const model::Checkpoint& checkpoint);
Result<EndWeights> load_ends(const model::Checkpoint& checkpoint);

}  // namespace quernel::runtime
