#include "engine/forward_pass.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

#include "base/check.h"
#include "base/checked.h"
#include "engine/attention_phase.h"
#include "engine/attention_plan.h"
#include "engine/crew.h"
#include "engine/row_codes.h"
#include "kernels/packed/packed.h"
#include "kernels/rowwise/table.h"
#include "runtime/float_model.h"
#include "sys/clock.h"

namespace quernel::engine {
namespace {

using kernels::rowwise::functions;
using model::Linear;

constexpr std::int64_t kFewTokens =
    23;  // up to here products are cut statically: reading the weights in long streams is what takes time

// Floats of the phases of rows. One set is shared by all workers, or each has its own where there is one token.
struct Rows {
  MatrixView hidden;
  MatrixView normed;
  RowCodes codes;
  std::vector<RowCodes> ordered;  // the same for modules of a site in act-order; empty where the model has none
};
constexpr std::size_t kMaxSiteModules = 3;

// How the input of a site is coded, for all modules that read it.
struct SiteCodes {
  bool two_parts = false;
  std::int64_t sum_inputs = 0;
  std::array<const std::vector<std::int32_t>*, kMaxSiteModules> orders{};  // of its modules; null: their own
};

std::int64_t first_column(const model::ModelConfig& config, Linear linear) {
  switch (linear) {
    case Linear::k: return config.q_size();
    case Linear::v: return config.q_size() + config.kv_size();
    case Linear::up: return config.intermediate_size;
    default: return 0;
  }
}

}  // namespace

struct ForwardPass::State {
  PassModel model;
  int most_workers = 1;
  int num_workers = 1;  // that take part in this pass
  Crew crew{1};
  std::int64_t max_tokens = 0;
  std::uint64_t weight_bytes = 0;  // of all layers
  Matrix shared_hidden, shared_normed;
  Matrix own_hidden, own_normed;  // [workers, hidden]
  std::vector<Rows> own;          // of each worker, for one token
  Rows shared;
  Matrix branch;         // outputs of o and down [tokens, hidden]
  Matrix fused;          // outputs of q k v [tokens, q + 2 kv], then of gate up [tokens, 2 intermediate]
  Matrix mixed;          // attention [tokens, q]
  Matrix own_inner;      // [workers, intermediate]
  Matrix inner_scratch;  // of its transform
  Matrix parts;          // [workers, 2 tokens * 64]
  Matrix own_logits;     // [workers, tokens * 64]
  std::vector<sys::HugeBuffer> scratch;
  std::unique_ptr<sys::Barrier> barrier;
  std::unique_ptr<AttentionPhase> attention;
  std::vector<std::atomic<std::int64_t>> taken;  // of each phase whose tasks are taken as workers come

  PassProfile* profile = nullptr;

  // of the pass that runs
  std::span<const std::int32_t> tokens;
  std::span<const Span> spans;
  AttentionPlan plan;
  MatrixView hidden_out;
  std::int64_t num_tokens = 0;

  [[nodiscard]] const model::ModelConfig& config() const { return *model.config; }
  [[nodiscard]] bool redundant() const { return num_tokens == 1; }
  Rows& rows(int worker) { return redundant() ? own[static_cast<std::size_t>(worker)] : shared; }

  struct Range {
    std::int64_t first, end;
  };
  [[nodiscard]] Range slice(std::int64_t count, int worker) const {
    return {count * worker / num_workers, count * (worker + 1) / num_workers};
  }
  [[nodiscard]] Range row_slice(int worker) const {
    return redundant() ? Range{0, num_tokens} : slice(num_tokens, worker);
  }
  void meet_after_rows() {
    if (!redundant()) barrier->wait();
  }

  void end_phase(int worker, Phase phase) {
    if (profile != nullptr && worker == 0) profile->end(phase);
  }

  void start_codes(int worker, std::int64_t width, const SiteCodes& kind) {
    // A worker that has codes of its own starts them; shared ones are started alike by all before any row is put.
    if (redundant() || worker == 0) {
      rows(worker).codes.begin(num_tokens, width, kind.two_parts, kind.sum_inputs);
      for (RowCodes& ordered : rows(worker).ordered) ordered.begin(num_tokens, width, kind.two_parts, kind.sum_inputs);
    }
    meet_after_rows();
  }

  // Many tokens are shared out as workers come, so that a slow one does less: all take part.
  void gather(std::int64_t tokens_of_pass) {
    num_tokens = tokens_of_pass;
    num_workers = num_tokens <= kFewTokens ? crew.size() : most_workers;
    barrier->set_participants(num_workers);
    attention->set_workers(num_workers);
  }

  [[nodiscard]] SiteCodes codes_of(const Layer& layer, model::Site site) const {
    SiteCodes kind{.two_parts = model.options->activation_bits == 16};
    std::size_t place = 0;
    for (std::size_t i = 0; i < layer.modules.size(); ++i) {
      if (layer.modules[i].site != site) continue;
      kind.orders[place++] = layer.linears[i].order.empty() ? nullptr : &layer.linears[i].order;
      kind.two_parts |= layer.linears[i].is_dense;
      kind.two_parts |= model.options->activation_bits == 0 && !layer.linears[i].is_made_for_int8();
      kind.sum_inputs = std::gcd(kind.sum_inputs, layer.linears[i].weight.view().group_size);
    }
    return kind;
  }

  // The input of a site for a token.
  void put_codes(Rows& at, const SiteCodes& kind, std::int64_t token, const float* x) {
    at.codes.put(token, x);
    for (std::size_t i = 0; i < kMaxSiteModules; ++i)
      if (kind.orders[i] != nullptr) at.ordered[i].put_ordered(token, at.codes, *kind.orders[i]);
  }

  void embed(int worker) {
    for (auto [r, end] = row_slice(worker); r < end; ++r)
      model.embedding->read(tokens[static_cast<std::size_t>(r)], rows(worker).hidden.row(r));
  }

  // hidden += residual_scale * norm(branch)
  void add_branch(std::span<float> hidden, std::int64_t r, std::span<const float> post_norm, std::span<float> buffer) {
    const float* from = branch.row(r).data();
    const auto width = static_cast<std::int64_t>(hidden.size());
    if (!post_norm.empty()) {
      functions().rms_norm(from, post_norm.data(), static_cast<float>(config().rms_norm_eps), buffer.data(), width);
      from = buffer.data();
    }
    functions().add_scaled(from, static_cast<float>(config().residual_scale), hidden.data(), width);
  }

  // The branch before (none: null) joins the residual; the input of the next site becomes codes.
  void enter_site(int worker, const std::span<const float>* branch_norm, std::span<const float> gain,
                  const SiteCodes& kind) {
    start_codes(worker, config().hidden_size, kind);
    Rows& at = rows(worker);
    for (auto [r, end] = row_slice(worker); r < end; ++r) {
      const std::span<float> hidden = at.hidden.row(r);
      const std::span<float> normed = at.normed.row(r);
      if (branch_norm != nullptr) add_branch(hidden, r, *branch_norm, normed);
      const float* input = hidden.data();
      if (!gain.empty()) {
        functions().rms_norm(hidden.data(), gain.data(), static_cast<float>(config().rms_norm_eps), normed.data(),
                             config().hidden_size);
        input = normed.data();
      }
      put_codes(at, kind, r, input);
    }
    meet_after_rows();
  }

  ProductScratch own_scratch(int worker) {
    return {reinterpret_cast<std::uint8_t*>(scratch[static_cast<std::size_t>(worker)].data()),
            parts.row(worker).data()};
  }

  // body(first, end) for this worker's share of the panels of a phase.
  template <class Body>
  void for_panels(int worker, std::int64_t panels, std::size_t phase, const Body& body) {
    if (num_tokens <= kFewTokens) {
      const Range range = slice(panels, worker);
      body(range.first, range.end);
    } else {
      for (;;) {
        const std::int64_t first = taken[phase].fetch_add(kPanelsPerTask, std::memory_order_relaxed);
        if (first >= panels) break;
        body(first, std::min(panels, first + kPanelsPerTask));
      }
    }
    barrier->wait();
  }

  void multiply(int worker, std::span<const Product> products, std::size_t phase) {
    for_panels(worker, num_panels(products), phase,
               [&](std::int64_t first, std::int64_t end) { run_products(products, first, end, own_scratch(worker)); });
  }

  void multiply_site(int worker, const Layer& layer, model::Site site, MatrixView out, std::size_t phase) {
    std::array<Product, kMaxSiteModules> products;
    std::size_t count = 0;
    const Rows& at = rows(worker);
    for (std::size_t i = 0; i < layer.modules.size(); ++i) {
      if (layer.modules[i].site != site) continue;
      const PackedLinear& linear = layer.linears[i];
      products[count] = {&linear, linear.order.empty() ? &at.codes : &at.ordered[count],
                         out.data + first_column(config(), layer.modules[i].parts.front().linear), out.stride};
      ++count;
    }
    multiply(worker, std::span(products).first(count), phase);
  }

  void gate(int worker, const SiteCodes& kind) {
    const std::int64_t width = config().intermediate_size;
    start_codes(worker, width, kind);
    const auto function =
        config().activation == model::Activation::silu ? functions().silu_mul : functions().gelu_tanh_mul;
    for (auto [r, end] = row_slice(worker); r < end; ++r) {
      const float* gate = fused.data() + r * 2 * width;  // rows lie close: fused is as wide as what is in it
      const std::span<float> inner = own_inner.row(worker);
      function(gate, gate + width, inner.data(), width);
      if (model.inner_transform != nullptr)
        model.inner_transform->apply(inner.data(), inner_scratch.row(worker).data());
      put_codes(rows(worker), kind, r, inner.data());
    }
    meet_after_rows();
  }

  void attend(int worker, std::int64_t index, const SiteCodes& kind) {
    attention->make(worker, index);
    end_phase(worker, Phase::heads);
    attention->run(worker, index);
    end_phase(worker, Phase::attention);
    start_codes(worker, config().q_size(), kind);
    for (auto [r, end] = row_slice(worker); r < end; ++r) {
      const std::span<float> own_row = redundant() ? attention->own_row(worker) : mixed.row(r);
      attention->finish_row(r, own_row);
      put_codes(rows(worker), kind, r, own_row.data());
    }
    meet_after_rows();
  }

  void run_layer(int worker, std::int64_t index) {
    using model::Site;
    const Layer& layer = model.weights->layers[static_cast<std::size_t>(index)];
    const auto phase = static_cast<std::size_t>(4 * index);
    const MatrixView qkv{fused.data(), num_tokens, config().q_size() + 2 * config().kv_size()};
    const MatrixView gate_up{fused.data(), num_tokens, 2 * config().intermediate_size};
    const MatrixView out{branch.data(), num_tokens, config().hidden_size};
    const Layer* before = index > 0 ? &model.weights->layers[static_cast<std::size_t>(index - 1)] : nullptr;
    const std::span<const float> before_norm =
        before != nullptr ? std::span<const float>(before->mlp_post_norm) : std::span<const float>();
    enter_site(worker, before != nullptr ? &before_norm : nullptr, layer.attention_norm,
               codes_of(layer, Site::attention_in));
    end_phase(worker, Phase::norms);
    multiply_site(worker, layer, Site::attention_in, qkv, phase);
    end_phase(worker, Phase::qkv);
    attend(worker, index, codes_of(layer, Site::attention_out));
    end_phase(worker, Phase::attention_codes);
    multiply_site(worker, layer, Site::attention_out, out, phase + 1);
    end_phase(worker, Phase::out);
    const std::span<const float> attention_norm = layer.attention_post_norm;
    enter_site(worker, &attention_norm, layer.mlp_norm, codes_of(layer, Site::mlp_in));
    end_phase(worker, Phase::norms);
    multiply_site(worker, layer, Site::mlp_in, gate_up, phase + 2);
    end_phase(worker, Phase::gate_up);
    gate(worker, codes_of(layer, Site::mlp_out));
    end_phase(worker, Phase::gate);
    multiply_site(worker, layer, Site::mlp_out, out, phase + 3);
    end_phase(worker, Phase::down);
  }

  // What the head reads.
  void enter_head(int worker, ConstMatrixView hidden) {
    start_codes(worker, config().hidden_size,
                {.two_parts = true, .sum_inputs = model.weights->head.weight.view().group_size});
    Rows& at = rows(worker);
    for (auto [r, end] = row_slice(worker); r < end; ++r) {
      functions().rms_norm(hidden.row(r).data(), model.weights->final_norm.data(),
                           static_cast<float>(config().rms_norm_eps), at.normed.row(r).data(), config().hidden_size);
      at.codes.put(r, at.normed.row(r).data());
    }
    meet_after_rows();
  }

  // Logits of some panels, a few at a time, in memory of this worker; they leave what is best.
  void rank_panels(int worker, std::int64_t first, std::int64_t end, std::span<runtime::TopTokens> best);

  void run_worker(int worker) {
    if (profile != nullptr && worker == 0) profile->start();
    embed(worker);
    meet_after_rows();
    end_phase(worker, Phase::embed);
    for (std::int64_t layer = 0; layer < config().num_layers; ++layer) run_layer(worker, layer);
    Rows& at = rows(worker);
    const std::span<const float> last_norm = model.weights->layers.back().mlp_post_norm;
    for (auto [r, end] = row_slice(worker); r < end; ++r) {
      add_branch(at.hidden.row(r), r, last_norm, at.normed.row(r));
      if (!redundant() || worker == 0)
        std::copy(at.hidden.row(r).begin(), at.hidden.row(r).end(), hidden_out.row(r).begin());
    }
  }
};

namespace {

Status make_codes(const std::vector<Layer>& layers, std::int64_t tokens, std::int64_t width, Rows& rows) {
  QUERNEL_TRY(rows.codes, RowCodes::make(tokens, width));
  const bool any_order = std::any_of(layers.begin(), layers.end(), [](const Layer& layer) {
    return std::any_of(layer.linears.begin(), layer.linears.end(), [](const auto& l) { return !l.order.empty(); });
  });
  for (std::size_t i = 0; any_order && i < kMaxSiteModules; ++i) {
    QUERNEL_TRY(RowCodes ordered, RowCodes::make(tokens, width));
    rows.ordered.push_back(std::move(ordered));
  }
  return ok_status();
}

}  // namespace

ForwardPass::ForwardPass(std::unique_ptr<State> state) : state_(std::move(state)) {}
ForwardPass::~ForwardPass() = default;
ForwardPass::ForwardPass(ForwardPass&&) noexcept = default;

void ForwardPass::set_profile(PassProfile* profile) { state_->profile = profile; }

Result<ForwardPass> ForwardPass::make(const PassModel& model, int num_workers, std::int64_t max_tokens) {
  auto state = std::make_unique<State>();
  const model::ModelConfig& config = *model.config;
  const std::int64_t width = std::max({config.hidden_size, config.q_size(), config.intermediate_size});
  state->model = model;
  state->most_workers = num_workers;
  const int asked = model.options->decode_threads;
  state->crew = Crew(asked == 0 ? num_workers : std::min(asked, num_workers));
  state->max_tokens = max_tokens;
  for (const Layer& layer : model.weights->layers)
    for (const PackedLinear& linear : layer.linears) state->weight_bytes += linear.weight.bytes();
  state->shared_hidden = Matrix(max_tokens, config.hidden_size);
  state->shared_normed = Matrix(max_tokens, config.hidden_size);
  state->own_hidden = Matrix(num_workers, config.hidden_size);
  state->own_normed = Matrix(num_workers, config.hidden_size);
  state->shared.hidden = state->shared_hidden.view();
  state->shared.normed = state->shared_normed.view();
  QUERNEL_TRY_STATUS(make_codes(model.weights->layers, max_tokens, width, state->shared));
  for (int w = 0; w < num_workers; ++w) {
    Rows own{state->own_hidden.view().row_block(w, 1), state->own_normed.view().row_block(w, 1), {}, {}};
    QUERNEL_TRY_STATUS(make_codes(model.weights->layers, 1, width, own));
    state->own.push_back(std::move(own));
    QUERNEL_TRY(sys::HugeBuffer scratch, sys::HugeBuffer::make(model.weights->most_scratch_bytes()));
    state->scratch.push_back(std::move(scratch));
  }
  state->branch = Matrix(max_tokens, config.hidden_size);
  state->fused = Matrix(max_tokens, std::max(config.q_size() + 2 * config.kv_size(), 2 * config.intermediate_size));
  state->mixed = Matrix(max_tokens, config.q_size());
  state->own_inner = Matrix(num_workers, config.intermediate_size);
  if (model.inner_transform != nullptr)
    state->inner_scratch = Matrix(num_workers, model.inner_transform->scratch_floats());
  state->parts = Matrix(num_workers, 2 * max_tokens * kPanelsPerTask * kernels::packed::kPanelOutputs);
  state->own_logits = Matrix(num_workers, max_tokens * kPanelsPerTask * kernels::packed::kPanelOutputs);
  state->barrier = std::make_unique<sys::Barrier>(num_workers);
  state->attention = std::make_unique<AttentionPhase>(model, num_workers, max_tokens, *state->barrier);
  state->taken = std::vector<std::atomic<std::int64_t>>(static_cast<std::size_t>(4 * config.num_layers + 1));
  return ForwardPass(std::move(state));
}

void ForwardPass::run(sys::ThreadPool& pool, std::span<const std::int32_t> tokens, std::span<const Span> spans,
                      MatrixView hidden) {
  State& state = *state_;
  QUERNEL_CHECK(static_cast<std::int64_t>(tokens.size()) <= state.max_tokens, "{} tokens in a pass of {}",
                tokens.size(), state.max_tokens);
  state.tokens = tokens;
  state.spans = spans;
  state.gather(static_cast<std::int64_t>(tokens.size()));
  state.hidden_out = hidden;
  state.plan = plan_attention(state.config(), spans);
  state.attention->begin(state.plan, spans,
                         {state.fused.data(), state.num_tokens, state.config().q_size() + 2 * state.config().kv_size()},
                         {state.mixed.data(), state.num_tokens, state.config().q_size()});
  for (auto& count : state.taken) count.store(0, std::memory_order_relaxed);
  const sys::Stopwatch watch;
  pool.run_on(state.num_workers, [&state](int worker) { state.run_worker(worker); });
  if (state.num_tokens > kFewTokens) return;
  std::uint64_t bytes = state.weight_bytes;
  for (const Span& span : spans) bytes += span.cache->pool().bytes_read(span.cache->length());
  state.crew.ran(watch.seconds(), static_cast<double>(bytes));
}

namespace {

// Scale and soft cap of logits.
void finish_logits(const model::ModelConfig& config, std::span<float> logits) {
  if (config.logit_scale != 1.0)
    for (float& value : logits) value *= static_cast<float>(config.logit_scale);
  if (config.logit_softcap > 0.0)
    functions().soft_cap(logits.data(), static_cast<float>(config.logit_softcap),
                         static_cast<std::int64_t>(logits.size()));
}

}  // namespace

void ForwardPass::logits(sys::ThreadPool& pool, ConstMatrixView hidden, MatrixView out) {
  State& state = *state_;
  const model::ModelConfig& config = state.config();
  const PackedLinear& head = state.model.weights->head;
  QUERNEL_CHECK(hidden.rows <= state.max_tokens && out.rows == hidden.rows && out.cols == config.vocab_size,
                "logits [{}, {}] of {} rows", out.rows, out.cols, hidden.rows);
  state.gather(hidden.rows);
  state.taken.back().store(0, std::memory_order_relaxed);
  pool.run_on(state.num_workers, [&](int worker) {
    if (state.profile != nullptr && worker == 0) state.profile->start();
    state.enter_head(worker, hidden);
    const Product product{&head, &state.rows(worker).codes, out.data, out.stride};
    state.multiply(worker, {&product, 1}, state.taken.size() - 1);
    for (auto [r, end] = state.slice(state.num_tokens, worker); r < end; ++r) finish_logits(config, out.row(r));
    state.end_phase(worker, Phase::logits);
  });
}

void ForwardPass::State::rank_panels(int worker, std::int64_t first, std::int64_t end,
                                     std::span<runtime::TopTokens> best) {
  constexpr std::int64_t kStride = kPanelsPerTask * kernels::packed::kPanelOutputs;
  const PackedLinear& head = model.weights->head;
  const std::span<float> values = own_logits.row(worker);
  for (std::int64_t panel = first; panel < end; panel += kPanelsPerTask) {
    const std::int64_t output = panel * kernels::packed::kPanelOutputs;
    const std::int64_t last = std::min(end, panel + kPanelsPerTask);
    const std::int64_t count = std::min(head.rows(), last * kernels::packed::kPanelOutputs) - output;
    const Product product{&head, &rows(worker).codes, values.data() - output, kStride};
    run_products({&product, 1}, panel, last, own_scratch(worker));
    for (std::int64_t r = 0; r < num_tokens; ++r) {
      const std::span<float> of_row =
          values.subspan(static_cast<std::size_t>(r * kStride), static_cast<std::size_t>(count));
      finish_logits(config(), of_row);
      best[static_cast<std::size_t>(r)].offer(of_row, output);
    }
  }
}

void ForwardPass::top_tokens(sys::ThreadPool& pool, ConstMatrixView hidden, std::int64_t most,
                             std::span<runtime::TopTokens> out) {
  State& state = *state_;
  const PackedLinear& head = state.model.weights->head;
  state.gather(hidden.rows);
  state.taken.back().store(0, std::memory_order_relaxed);
  const auto rows = static_cast<std::size_t>(hidden.rows);
  // Of each worker, row by row; panels come in rising order, so that of equals the lower id is met first.
  std::vector<runtime::TopTokens> found(rows * static_cast<std::size_t>(state.num_workers));
  pool.run_on(state.num_workers, [&](int worker) {
    if (state.profile != nullptr && worker == 0) state.profile->start();
    state.enter_head(worker, hidden);
    const std::span<runtime::TopTokens> own = std::span(found).subspan(static_cast<std::size_t>(worker) * rows, rows);
    for (runtime::TopTokens& of_row : own) of_row.begin(static_cast<std::size_t>(most));
    state.for_panels(worker, head.weight.view().panels(), state.taken.size() - 1,
                     [&](std::int64_t first, std::int64_t end) { state.rank_panels(worker, first, end, own); });
    for (auto [r, end] = state.slice(state.num_tokens, worker); r < end; ++r) {
      runtime::TopTokens& best = out[static_cast<std::size_t>(r)];
      best.begin(static_cast<std::size_t>(most));
      for (std::size_t i = static_cast<std::size_t>(r); i < found.size(); i += rows)
        for (const runtime::TopToken& token : found[i].best()) best.offer(token);
    }
    state.end_phase(worker, Phase::logits);
  });
}

}  // namespace quernel::engine
