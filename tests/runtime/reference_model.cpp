// The forward pass of tiny_model.h, one formula a function.
#include <algorithm>
#include <cmath>

#include "runtime/tiny_model.h"

namespace quernel::test {
namespace {

using Row = std::vector<double>;
using Rows = std::vector<Row>;

struct Reference {
  const TinyModel& model;

  [[nodiscard]] const TinyModel::Tensor& tensor(const std::string& name) const { return model.tensors.at(name); }

  // Rows first..first+count of a weight times x, plus its bias.
  [[nodiscard]] Row linear(const std::string& name, const Row& x, std::int64_t first = 0,
                           std::int64_t count = -1) const {
    const TinyModel::Tensor& weight = tensor(name + ".weight");
    if (count < 0) count = weight.rows;
    Row out(static_cast<std::size_t>(count));
    for (std::int64_t r = 0; r < count; ++r) {
      double sum = 0.0;
      for (std::int64_t c = 0; c < weight.cols; ++c) {
        sum += static_cast<double>(weight.values[static_cast<std::size_t>((first + r) * weight.cols + c)]) *
               x[static_cast<std::size_t>(c)];
      }
      const auto bias = model.tensors.find(name + ".bias");
      if (bias != model.tensors.end()) sum += static_cast<double>(bias->second.values[static_cast<std::size_t>(r)]);
      out[static_cast<std::size_t>(r)] = sum;
    }
    return out;
  }

  // Each group of as many values as the weight has is normalised alone.
  [[nodiscard]] Row norm(const std::string& name, Row x) const {
    const std::vector<float>& weight = tensor(name + ".weight").values;
    for (std::size_t first = 0; first < x.size(); first += weight.size()) {
      double squares = 0.0;
      for (std::size_t i = 0; i < weight.size(); ++i) squares += x[first + i] * x[first + i];
      const double rms = std::sqrt(squares / static_cast<double>(weight.size()) + model.eps);
      for (std::size_t i = 0; i < weight.size(); ++i) {
        x[first + i] = x[first + i] / rms * (static_cast<double>(weight[i]) + (model.norm_adds_one ? 1.0 : 0.0));
      }
    }
    return x;
  }

  void rotate(const TinyLayer& layer, std::size_t position, Row& heads) const {
    if (!layer.rotates) return;
    const auto half = static_cast<std::size_t>(model.rotary_dim / 2);
    for (std::size_t head = 0; head < heads.size(); head += static_cast<std::size_t>(model.head_dim)) {
      for (std::size_t i = 0; i < half; ++i) {
        const double frequency =
            std::pow(layer.theta, -2.0 * static_cast<double>(i) / static_cast<double>(model.rotary_dim));
        const double angle = static_cast<double>(position) * frequency / layer.linear_factor;
        const double a = heads[head + i];
        const double b = heads[head + half + i];
        heads[head + i] = a * std::cos(angle) - b * std::sin(angle);
        heads[head + half + i] = b * std::cos(angle) + a * std::sin(angle);
      }
    }
  }

  // One head of one query over the positions it sees.
  [[nodiscard]] Row attend(const TinyLayer& layer, const Rows& q, const Rows& k, const Rows& v, std::size_t t,
                           std::size_t head) const {
    const auto dim = static_cast<std::size_t>(model.head_dim);
    const std::size_t kv_col = head / static_cast<std::size_t>(model.heads / model.kv_heads) * dim;
    const double scale =
        model.attention_scale != 0.0 ? model.attention_scale : 1.0 / std::sqrt(static_cast<double>(dim));
    Row out(dim, 0.0);
    double total = 0.0;
    for (std::size_t j = 0; j <= t; ++j) {
      if (layer.window > 0 && t - j >= static_cast<std::size_t>(layer.window)) continue;
      double score = 0.0;
      for (std::size_t i = 0; i < dim; ++i) score += q[t][head * dim + i] * k[j][kv_col + i];
      score *= scale;
      if (model.attention_cap > 0.0) score = model.attention_cap * std::tanh(score / model.attention_cap);
      total += std::exp(score);
      for (std::size_t i = 0; i < dim; ++i) out[i] += std::exp(score) * v[j][kv_col + i];
    }
    for (double& value : out) value /= total;
    return out;
  }

  [[nodiscard]] double activate(double x) const {
    if (!model.gelu) return x / (1.0 + std::exp(-x));
    return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x)));
  }

  void project(const std::string& prefix, const Row& x, Row& q, Row& k, Row& v) const {
    const std::int64_t q_size = model.heads * model.head_dim;
    const std::int64_t kv_size = model.kv_heads * model.head_dim;
    if (model.fused) {
      q = linear(prefix + "self_attn.qkv_proj", x, 0, q_size);
      k = linear(prefix + "self_attn.qkv_proj", x, q_size, kv_size);
      v = linear(prefix + "self_attn.qkv_proj", x, q_size + kv_size, kv_size);
    } else {
      q = linear(prefix + "self_attn.q_proj", x);
      k = linear(prefix + "self_attn.k_proj", x);
      v = linear(prefix + "self_attn.v_proj", x);
    }
    if (model.head_norm || model.full_norm) {
      q = norm(prefix + "self_attn.q_norm", q);
      k = norm(prefix + "self_attn.k_norm", k);
    }
  }

  void join(Row branch, const std::string& post_norm, Row& hidden) const {
    if (model.norm_after) branch = norm(post_norm, branch);
    for (std::size_t i = 0; i < hidden.size(); ++i) hidden[i] += model.residual_scale * branch[i];
  }

  void attention(const std::string& prefix, const TinyLayer& layer, Rows& hidden) const {
    Rows q(hidden.size()), k(hidden.size()), v(hidden.size());
    for (std::size_t t = 0; t < hidden.size(); ++t) {
      const Row x = model.norm_before ? norm(prefix + "input_layernorm", hidden[t]) : hidden[t];
      project(prefix, x, q[t], k[t], v[t]);
      rotate(layer, t, q[t]);
      rotate(layer, t, k[t]);
    }
    for (std::size_t t = 0; t < hidden.size(); ++t) {
      Row mixed;
      for (std::size_t head = 0; head < static_cast<std::size_t>(model.heads); ++head) {
        const Row one = attend(layer, q, k, v, t, head);
        mixed.insert(mixed.end(), one.begin(), one.end());
      }
      join(linear(prefix + "self_attn.o_proj", mixed), prefix + "post_attention_layernorm", hidden[t]);
    }
  }

  void mlp(const std::string& prefix, Row& hidden) const {
    const std::string norm_name = model.norm_after ? "pre_feedforward_layernorm" : "post_attention_layernorm";
    const Row x = model.norm_before ? norm(prefix + norm_name, hidden) : hidden;
    const std::int64_t size = model.intermediate;
    Row gate = model.fused ? linear(prefix + "mlp.gate_up_proj", x, 0, size) : linear(prefix + "mlp.gate_proj", x);
    const Row up = model.fused ? linear(prefix + "mlp.gate_up_proj", x, size, size) : linear(prefix + "mlp.up_proj", x);
    for (std::size_t i = 0; i < gate.size(); ++i) gate[i] = activate(gate[i]) * up[i];
    join(linear(prefix + "mlp.down_proj", gate), prefix + "post_feedforward_layernorm", hidden);
  }
};

}  // namespace

MatrixF64 reference_logits(const TinyModel& model, const std::vector<std::int32_t>& tokens, MatrixF64* hidden_out) {
  const Reference reference{model};
  const std::vector<float>& embedding = reference.tensor("model.embed_tokens.weight").values;
  Rows hidden;
  for (const std::int32_t token : tokens) {
    const float* from = embedding.data() + token * model.hidden;
    hidden.emplace_back(from, from + model.hidden);
    for (double& value : hidden.back()) value *= model.embedding_scale;
  }
  for (std::size_t i = 0; i < model.layers.size(); ++i) {
    const std::string prefix = "model.layers." + std::to_string(i) + ".";
    reference.attention(prefix, model.layers[i], hidden);
    for (Row& row : hidden) reference.mlp(prefix, row);
  }
  MatrixF64 logits(static_cast<std::int64_t>(tokens.size()), model.vocab);
  if (hidden_out != nullptr) *hidden_out = MatrixF64(logits.rows(), model.hidden);
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    const auto row = static_cast<std::int64_t>(t);
    if (hidden_out != nullptr) std::copy(hidden[t].begin(), hidden[t].end(), hidden_out->row(row).begin());
    const Row head =
        reference.linear(model.tied ? "model.embed_tokens" : "lm_head", reference.norm("model.norm", hidden[t]));
    for (std::size_t i = 0; i < head.size(); ++i) {
      const double logit = head[i] * model.logit_scale;
      logits(row, static_cast<std::int64_t>(i)) =
          model.logit_cap > 0.0 ? model.logit_cap * std::tanh(logit / model.logit_cap) : logit;
    }
  }
  return logits;
}

}  // namespace quernel::test
