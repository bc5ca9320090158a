// QuaRot's rotations: R1 and R2 cost nothing at run time; of R3 and R4 this is the half that is done once.
//
// R1        residual stream x <- x Q, Q = diag(signs) H / sqrt(n): embedding, head and the inputs of q, k, v, gate, up are
//           multiplied by Q from the right, o and down by Q^T from the left, with their biases. Norm gains go into the linears that
//           follow (W <- W diag(g) Q) and become 1: a norm without gain does not see a rotation. Embedding and head part ways
// R2        values of each head v <- v H / sqrt(head_dim), undone in the columns of o
// R3        queries and keys of each head after RoPE become H x, which their products do not see: a flag of the configuration
// R4        the input of down becomes H x, undone in its weight: W <- W H^T, and a flag
// Not       behind norms after a branch: their gain stands between the rotated output and the residual stream
// Exact     in double, rounded to fp32 once; down twice with R4
// Source    Ashkboos et al., QuaRot, NeurIPS 2024; R2 per head, fused on both sides, as in SpinQuant, arXiv 2405.16406. The mean of
//           the embedding is not taken away, as QuaRot's code does: under RMS norms that would change the model
#include <algorithm>
#include <cmath>

#include "base/checked.h"
#include "base/rng.h"
#include "tensor/hadamard.h"
#include "transform/rows.h"

namespace quernel::transform {
namespace {

using model::Linear;
using runtime::LinearWeight;

constexpr std::int64_t kRowsPerTask = 16;

// x <- H x. One row of its own, so that the caller's loops decide what is in cache.
void turn_row(const Hadamard& transform, std::span<double> x) {
  transform.apply(BasicView<double>{x.data(), 1, static_cast<std::int64_t>(x.size())});
}

class Rotation final : public ModelChange {
 public:
  Rotation(const model::ModelConfig& config, std::vector<float> final_gain, const TransformSpec& spec)
      : config_(config),
        final_gain_(std::move(final_gain)),
        values_(spec.quarot_values),
        qk_(spec.quarot_qk),
        down_(spec.quarot_down),
        residual_(config.hidden_size),
        head_(config.head_dim) {
    CounterRng rng(spec.quarot_seed, "quarot residual stream");
    for (std::int64_t i = 0; i < config.hidden_size; ++i) signs_.push_back(rng.below(2) == 0 ? 1.0 : -1.0);
  }

  void change_layer(runtime::LayerWeights& weights, sys::ThreadPool& pool) const override {
    for (const Linear which : {Linear::q, Linear::k, Linear::v})
      rotate_input(at(weights, which), weights.attention_norm, pool);
    for (const Linear which : {Linear::gate, Linear::up}) rotate_input(at(weights, which), weights.mlp_norm, pool);
    std::fill(weights.attention_norm.begin(), weights.attention_norm.end(), 1.0F);
    std::fill(weights.mlp_norm.begin(), weights.mlp_norm.end(), 1.0F);
    if (values_) rotate_heads(at(weights, Linear::v), pool);
    rotate_output(at(weights, Linear::o), values_ ? &head_ : nullptr, pool);
    if (down_) {
      LinearWeight& down = at(weights, Linear::down);
      Matrix values = runtime::widen(down);
      const Hadamard inner(values.cols());
      for_each_row(values, pool, [&](std::span<double> x) { turn_row(inner, x); });
      put(down, std::move(values));
    }
    rotate_output(at(weights, Linear::down), nullptr, pool);
  }
  void change_embedding(MatrixView rows, sys::ThreadPool& pool) const override { rotate_rows(rows, {}, pool); }
  void change_head(MatrixView rows, sys::ThreadPool& pool) const override { rotate_rows(rows, final_gain_, pool); }
  void change_final_norm(std::span<float> gain) const override { std::fill(gain.begin(), gain.end(), 1.0F); }
  void change_config(model::ModelConfig& config) const override {
    config.online_qk_hadamard = config.online_qk_hadamard || qk_;
    config.online_down_hadamard = config.online_down_hadamard || down_;
  }
  [[nodiscard]] bool unties() const override { return true; }

 private:
  static LinearWeight& at(runtime::LayerWeights& weights, Linear which) {
    return weights.linears[static_cast<std::size_t>(which)];
  }
  static void put(LinearWeight& weight, Matrix values) {
    std::vector<float> bias = std::move(weight.bias);
    weight = runtime::own_weight(std::move(values));
    weight.bias = std::move(bias);
  }

  // x <- x Q
  void turn(std::span<double> x) const {
    for (std::size_t i = 0; i < x.size(); ++i) x[i] *= signs_[i];
    turn_row(residual_, x);
  }

  // Each row widened, changed and rounded once.
  template <class Change>
  static void for_each_row(MatrixView rows, sys::ThreadPool& pool, const Change& change) {
    pool.parallel_for(ceil_div(rows.rows, kRowsPerTask), [&](std::int64_t task) {
      std::vector<double> x(static_cast<std::size_t>(rows.cols));
      const std::int64_t end = std::min((task + 1) * kRowsPerTask, rows.rows);
      for (std::int64_t row = task * kRowsPerTask; row < end; ++row) {
        const std::span<float> values = rows.row(row);
        std::copy(values.begin(), values.end(), x.begin());
        change(std::span<double>(x));
        std::transform(x.begin(), x.end(), values.begin(), [](double value) { return static_cast<float>(value); });
      }
    });
  }

  // Each row times gain (empty: 1), then turned.
  void rotate_rows(MatrixView rows, std::span<const float> gain, sys::ThreadPool& pool) const {
    for_each_row(rows, pool, [&](std::span<double> x) {
      for (std::size_t k = 0; k < gain.size(); ++k) x[k] *= double{gain[k]};
      turn(x);
    });
  }

  void rotate_input(LinearWeight& weight, std::span<const float> gain, sys::ThreadPool& pool) const {
    Matrix values = runtime::widen(weight);
    rotate_rows(values, gain, pool);
    put(weight, std::move(values));
  }

  // Rows of each head turned by R2: columns of [head_dim] values.
  void rotate_heads(LinearWeight& weight, sys::ThreadPool& pool) const {
    Matrix values = runtime::widen(weight);
    const std::int64_t dim = config_.head_dim;
    pool.parallel_for(values.rows() / dim, [&](std::int64_t head) {
      std::vector<double> x(static_cast<std::size_t>(dim));
      for (std::int64_t col = 0; col < values.cols(); ++col) {
        for (std::int64_t i = 0; i < dim; ++i) x[static_cast<std::size_t>(i)] = values(head * dim + i, col);
        turn_row(head_, x);
        for (std::int64_t i = 0; i < dim; ++i)
          values(head * dim + i, col) = static_cast<float>(x[static_cast<std::size_t>(i)]);
      }
    });
    for (std::size_t first = 0; first < weight.bias.size(); first += static_cast<std::size_t>(dim))
      rotate_vector(std::span(weight.bias).subspan(first, static_cast<std::size_t>(dim)),
                    [&](std::span<double> x) { turn_row(head_, x); });
    put(weight, std::move(values));
  }

  // W <- Q^T W, after R2 on each head's columns where one is given.
  void rotate_output(LinearWeight& weight, const Hadamard* head, sys::ThreadPool& pool) const {
    Matrix values = runtime::widen(weight);
    const std::int64_t width = config_.head_dim;  // of a tile of columns; with R2, those of a head
    pool.parallel_for(ceil_div(values.cols(), width), [&](std::int64_t tile) {
      const std::int64_t first = tile * width;
      const std::int64_t count = std::min(width, values.cols() - first);
      MatrixF64 columns = MatrixF64::uninitialized(count, values.rows());
      std::vector<double> part(static_cast<std::size_t>(count));
      for (std::int64_t row = 0; row < values.rows(); ++row) {
        for (std::int64_t i = 0; i < count; ++i) part[static_cast<std::size_t>(i)] = values(row, first + i);
        if (head != nullptr) turn_row(*head, part);
        for (std::int64_t i = 0; i < count; ++i) columns(i, row) = part[static_cast<std::size_t>(i)];
      }
      for (std::int64_t i = 0; i < count; ++i) turn(columns.row(i));
      for (std::int64_t row = 0; row < values.rows(); ++row)
        for (std::int64_t i = 0; i < count; ++i) values(row, first + i) = static_cast<float>(columns(i, row));
    });
    if (!weight.bias.empty()) rotate_vector(weight.bias, [&](std::span<double> x) { turn(x); });
    put(weight, std::move(values));
  }

  template <class Turn>
  static void rotate_vector(std::span<float> values, const Turn& turn_row) {
    std::vector<double> x(values.begin(), values.end());
    turn_row(x);
    std::transform(x.begin(), x.end(), values.begin(), [](double value) { return static_cast<float>(value); });
  }

  const model::ModelConfig& config_;
  std::vector<float> final_gain_;
  bool values_;
  bool qk_;
  bool down_;
  Hadamard residual_;
  Hadamard head_;
  std::vector<double> signs_;
};

}  // namespace

Status check_rotation(const model::ModelConfig& config, const TransformSpec&) {
  if (config.norm_before && !config.norm_after) return {};
  return Error(Fault::unsupported, "the residual stream of this architecture cannot be rotated")
      .in_field("--preprocess")
      .expect("norms before attention and MLP only",
              config.architecture + ": the gain of a norm stands between a branch's output and the residual stream")
      .with_hint("--preprocess awq or smoothquant keep this model's function");
}

std::unique_ptr<ModelChange> make_rotation(const model::ModelConfig& config, const runtime::EndWeights& ends,
                                           const TransformSpec& spec) {
  return std::make_unique<Rotation>(config, ends.final_norm, spec);
}

}  // namespace quernel::transform
