#include "engine/forward_pass.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/check.h"
#include "engine/attention_phase.h"
#include "engine/attention_plan.h"
#include "engine/head_phase.h"
#include "engine/pass_rows.h"
#include "engine/pass_team.h"
#include "kernels/rowwise/table.h"
#include "sys/clock.h"

namespace quernel::engine {
namespace {

using kernels::rowwise::functions;
using model::Linear;
using model::Site;

std::int64_t first_column(const model::ModelConfig& config, Linear linear) {
  switch (linear) {
    case Linear::k: return config.q_size();
    case Linear::v: return config.q_size() + config.kv_size();
    case Linear::up: return config.intermediate_size;
    default: return 0;
  }
}

std::uint64_t bytes_of(const std::vector<Layer>& layers) {
  std::uint64_t bytes = 0;
  for (const Layer& layer : layers)
    for (const PackedLinear& linear : layer.linears) bytes += linear.weight.bytes();
  return bytes;
}

}  // namespace

struct ForwardPass::State {
  PassModel model;
  std::int64_t max_tokens = 0;
  std::uint64_t weight_bytes = 0;  // of all layers
  PassTeam team;
  PassRows rows;
  std::unique_ptr<AttentionPhase> attention;
  std::unique_ptr<HeadPhase> head;
  Matrix branch;         // outputs of o and down [tokens, hidden]
  Matrix fused;          // outputs of q k v [tokens, q + 2 kv], then of gate up [tokens, 2 intermediate]
  Matrix mixed;          // attention [tokens, q]
  Matrix own_inner;      // [workers, intermediate]
  Matrix inner_scratch;  // of its transform

  // of the pass that runs
  std::span<const std::int32_t> tokens;
  AttentionPlan plan;
  MatrixView hidden_out;

  [[nodiscard]] const model::ModelConfig& config() const { return *model.config; }
  [[nodiscard]] SiteCodes codes_at(const Layer& layer, Site site) const {
    return codes_of(layer, site, *model.options);
  }
  // fused and mixed as wide as what is in them: rows lie close.
  [[nodiscard]] MatrixView qkv() {
    return {fused.data(), team.num_tokens(), config().q_size() + 2 * config().kv_size()};
  }
  [[nodiscard]] MatrixView gate_up() { return {fused.data(), team.num_tokens(), 2 * config().intermediate_size}; }

  void embed(int worker) {
    for (auto [r, end] = team.row_slice(worker); r < end; ++r)
      model.embedding->read(tokens[static_cast<std::size_t>(r)], rows.of(worker).hidden.row(r));
    team.meet_after_rows();
    team.end_phase(worker, Phase::embed);
  }

  void norm(const float* from, std::span<const float> gain, std::span<float> to) const {
    functions().rms_norm(from, gain.data(), static_cast<float>(config().rms_norm_eps), to.data(), config().hidden_size);
  }

  // hidden += residual_scale * norm(branch)
  void add_branch(std::span<float> hidden, std::int64_t r, std::span<const float> post_norm, std::span<float> buffer) {
    const float* from = branch.row(r).data();
    if (!post_norm.empty()) {
      norm(from, post_norm, buffer);
      from = buffer.data();
    }
    functions().add_scaled(from, static_cast<float>(config().residual_scale), hidden.data(), config().hidden_size);
  }

  // The branch before, if there is one, joins the residual by way of its norm; the input of the next site becomes codes.
  void enter_site(int worker, std::optional<std::span<const float>> branch_norm, std::span<const float> gain,
                  const SiteCodes& kind) {
    rows.start_codes(worker, config().hidden_size, kind);
    for (auto [r, end] = team.row_slice(worker); r < end; ++r) {
      const std::span<float> hidden = rows.of(worker).hidden.row(r);
      const std::span<float> normed = rows.of(worker).normed.row(r);
      if (branch_norm.has_value()) add_branch(hidden, r, *branch_norm, normed);
      if (!gain.empty()) norm(hidden.data(), gain, normed);
      rows.put_codes(worker, kind, r, gain.empty() ? hidden.data() : normed.data());
    }
    team.meet_after_rows();
    team.end_phase(worker, Phase::norms);
  }

  void multiply_site(int worker, const Layer& layer, Site site, MatrixView out, std::size_t product) {
    std::array<Product, kMaxSiteModules> products;
    std::size_t count = 0;
    for (std::size_t i = 0; i < layer.modules.size(); ++i) {
      if (layer.modules[i].site != site) continue;
      const PackedLinear& linear = layer.linears[i];
      products[count] = {&linear, &rows.of(worker).codes_for(linear, count),
                         out.data + first_column(config(), layer.modules[i].parts.front().linear), out.stride};
      ++count;
    }
    team.multiply(worker, std::span(products).first(count), product);
  }

  void attend(int worker, std::int64_t index, const SiteCodes& kind) {
    attention->make(worker, index);
    team.end_phase(worker, Phase::heads);
    attention->run(worker, index);
    team.end_phase(worker, Phase::attention);
    rows.start_codes(worker, config().q_size(), kind);
    for (auto [r, end] = team.row_slice(worker); r < end; ++r) {
      const std::span<float> row = team.is_redundant() ? attention->own_row(worker) : mixed.row(r);
      attention->finish_row(r, row);
      rows.put_codes(worker, kind, r, row.data());
    }
    team.meet_after_rows();
    team.end_phase(worker, Phase::attention_codes);
  }

  void gate(int worker, const SiteCodes& kind) {
    const std::int64_t width = config().intermediate_size;
    rows.start_codes(worker, width, kind);
    const bool is_silu = config().activation == model::Activation::silu;
    const auto function = is_silu ? functions().silu_mul : functions().gelu_tanh_mul;
    const std::span<float> inner = own_inner.row(worker);
    for (auto [r, end] = team.row_slice(worker); r < end; ++r) {
      const float* gate = gate_up().row(r).data();
      function(gate, gate + width, inner.data(), width);
      if (model.inner_transform != nullptr)
        model.inner_transform->apply(inner.data(), inner_scratch.row(worker).data());
      rows.put_codes(worker, kind, r, inner.data());
    }
    team.meet_after_rows();
    team.end_phase(worker, Phase::gate);
  }

  void run_layer(int worker, std::int64_t index) {
    const std::vector<Layer>& layers = model.weights->layers;
    const Layer& layer = layers[static_cast<std::size_t>(index)];
    const auto product = static_cast<std::size_t>(4 * index);
    const MatrixView out{branch.data(), team.num_tokens(), config().hidden_size};
    std::optional<std::span<const float>> before;
    if (index > 0) before = layers[static_cast<std::size_t>(index - 1)].mlp_post_norm;
    enter_site(worker, before, layer.attention_norm, codes_at(layer, Site::attention_in));
    multiply_site(worker, layer, Site::attention_in, qkv(), product);
    team.end_phase(worker, Phase::qkv);
    attend(worker, index, codes_at(layer, Site::attention_out));
    multiply_site(worker, layer, Site::attention_out, out, product + 1);
    team.end_phase(worker, Phase::out);
    enter_site(worker, layer.attention_post_norm, layer.mlp_norm, codes_at(layer, Site::mlp_in));
    multiply_site(worker, layer, Site::mlp_in, gate_up(), product + 2);
    team.end_phase(worker, Phase::gate_up);
    gate(worker, codes_at(layer, Site::mlp_out));
    multiply_site(worker, layer, Site::mlp_out, out, product + 3);
    team.end_phase(worker, Phase::down);
  }

  void run_worker(int worker) {
    team.start_profile(worker);
    embed(worker);
    for (std::int64_t layer = 0; layer < config().num_layers; ++layer) run_layer(worker, layer);
    const Rows& at = rows.of(worker);
    const std::span<const float> last_norm = model.weights->layers.back().mlp_post_norm;
    for (auto [r, end] = team.row_slice(worker); r < end; ++r) {
      add_branch(at.hidden.row(r), r, last_norm, at.normed.row(r));
      if (!team.is_redundant() || worker == 0)
        std::copy(at.hidden.row(r).begin(), at.hidden.row(r).end(), hidden_out.row(r).begin());
    }
  }
};

ForwardPass::ForwardPass(std::unique_ptr<State> state) : state_(std::move(state)) {}
ForwardPass::~ForwardPass() = default;
ForwardPass::ForwardPass(ForwardPass&&) noexcept = default;

void ForwardPass::set_profile(PassProfile* profile) { state_->team.set_profile(profile); }

Result<ForwardPass> ForwardPass::make(const PassModel& model, int num_workers, std::int64_t max_tokens) {
  const model::ModelConfig& config = *model.config;
  const auto head_product = static_cast<std::size_t>(4 * config.num_layers);
  auto state = std::make_unique<State>();
  state->model = model;
  state->max_tokens = max_tokens;
  state->weight_bytes = bytes_of(model.weights->layers);
  QUERNEL_TRY(state->team, PassTeam::make({.num_workers = num_workers,
                                           .decode_threads = model.options->decode_threads,
                                           .max_tokens = max_tokens,
                                           .num_products = head_product + 1,
                                           .scratch_bytes = model.weights->most_scratch_bytes()}));
  QUERNEL_TRY(state->rows, PassRows::make(model, state->team, num_workers, max_tokens));
  state->attention = std::make_unique<AttentionPhase>(model, num_workers, max_tokens, state->team.barrier());
  state->head = std::make_unique<HeadPhase>(model, state->team, state->rows, num_workers, max_tokens, head_product);
  state->branch = Matrix(max_tokens, config.hidden_size);
  state->fused = Matrix(max_tokens, std::max(config.q_size() + 2 * config.kv_size(), 2 * config.intermediate_size));
  state->mixed = Matrix(max_tokens, config.q_size());
  state->own_inner = Matrix(num_workers, config.intermediate_size);
  if (model.inner_transform != nullptr)
    state->inner_scratch = Matrix(num_workers, model.inner_transform->scratch_floats());
  return ForwardPass(std::move(state));
}

void ForwardPass::run(sys::ThreadPool& pool, std::span<const std::int32_t> tokens, std::span<const Span> spans,
                      MatrixView hidden) {
  State& state = *state_;
  QUERNEL_CHECK(static_cast<std::int64_t>(tokens.size()) <= state.max_tokens, "{} tokens in a pass of {}",
                tokens.size(), state.max_tokens);
  state.tokens = tokens;
  state.hidden_out = hidden;
  state.team.gather(static_cast<std::int64_t>(tokens.size()));
  state.plan = plan_attention(state.config(), spans);
  state.attention->set_workers(state.team.num_workers());
  state.attention->begin(state.plan, spans, state.qkv(),
                         {state.mixed.data(), state.team.num_tokens(), state.config().q_size()});
  const sys::Stopwatch watch;
  pool.run_on(state.team.num_workers(), [&state](int worker) { state.run_worker(worker); });
  std::uint64_t bytes = state.weight_bytes;
  for (const Span& span : spans) bytes += span.cache->pool().bytes_read(span.cache->length());
  state.team.ran(watch.seconds(), static_cast<double>(bytes));
}

void ForwardPass::logits(sys::ThreadPool& pool, ConstMatrixView hidden, MatrixView out) {
  QUERNEL_CHECK(hidden.rows <= state_->max_tokens && out.rows == hidden.rows && out.cols == state_->config().vocab_size,
                "logits [{}, {}] of {} rows", out.rows, out.cols, hidden.rows);
  state_->head->logits(pool, hidden, out);
}

void ForwardPass::top_tokens(sys::ThreadPool& pool, ConstMatrixView hidden, std::int64_t most,
                             std::span<runtime::TopTokens> out) {
  state_->head->top_tokens(pool, hidden, most, out);
}

}  // namespace quernel::engine
