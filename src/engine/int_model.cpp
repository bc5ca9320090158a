#include "engine/int_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "engine/embedding.h"
#include "engine/forward_pass.h"
#include "engine/model_weights.h"
#include "runtime/float_model.h"

namespace quernel::engine {
namespace {

Status check_options(const EngineOptions& options) {
  if (options.activation_bits == 0 || options.activation_bits == 8 || options.activation_bits == 16) return ok_status();
  return Error(Fault::unsupported, "bits that activations cannot have in the integer runtime")
      .in_field("--act-bits")
      .expect("8, 16, or 0: by the weights", fmt::format("{}", options.activation_bits));
}

}  // namespace

struct IntModel::State {
  const model::ModelConfig* config = nullptr;
  EngineOptions options;
  sys::ThreadPool* pool = nullptr;
  ModelWeights weights;
  std::string load_note;
  Embedding embedding;
  std::shared_ptr<const runtime::RopeTable> rope;
  std::optional<OnlineTransform> head_transform, inner_transform;
  PagePool pages;
  std::optional<ForwardPass> pass;

  [[nodiscard]] PassModel lent() const {
    return {config,
            &options,
            &weights,
            &embedding,
            rope.get(),
            head_transform ? &*head_transform : nullptr,
            inner_transform ? &*inner_transform : nullptr};
  }
};

IntModel::IntModel(std::unique_ptr<State> state) : state_(std::move(state)) {}
IntModel::~IntModel() = default;
IntModel::IntModel(IntModel&&) noexcept = default;
IntModel& IntModel::operator=(IntModel&&) noexcept = default;

const model::ModelConfig& IntModel::config() const { return *state_->config; }
const EngineOptions& IntModel::options() const { return state_->options; }
int IntModel::activation_bits() const {
  if (state_->options.activation_bits != 0) return state_->options.activation_bits;
  for (const Layer& layer : state_->weights.layers)
    for (const PackedLinear& linear : layer.linears)
      if (linear.is_made_for_int8()) return 8;
  return 16;
}
PagedCache IntModel::make_cache() const { return PagedCache(state_->pages); }
const PagePool& IntModel::pages() const { return state_->pages; }

const std::string& IntModel::load_note() const { return state_->load_note; }
std::uint64_t IntModel::weight_bytes() const { return state_->weights.bytes(); }
std::int64_t IntModel::num_weights() const { return state_->weights.num_weights(); }

Result<IntModel> IntModel::load(const model::Checkpoint& checkpoint, sys::ThreadPool& pool,
                                const EngineOptions& options) {
  QUERNEL_TRY_STATUS(check_options(options));
  auto state = std::make_unique<State>();
  state->config = &checkpoint.config();
  state->options = options;
  state->pool = &pool;
  QUERNEL_TRY(state->pages, PagePool::make(*state->config, options.kv_bits, options.kv_budget));
  QUERNEL_TRY(state->embedding, Embedding::open(checkpoint));
  QUERNEL_TRY(CachedWeights loaded, load_weights(checkpoint, pool, options.packed_cache));
  state->weights = std::move(loaded.weights);
  state->load_note = std::move(loaded.note);
  state->rope = runtime::RopeTable::make(*state->config);
  if (state->config->online_qk_hadamard) state->head_transform.emplace(state->config->head_dim);
  if (state->config->online_down_hadamard) state->inner_transform.emplace(state->config->intermediate_size);
  QUERNEL_TRY(ForwardPass pass, ForwardPass::make(state->lent(), pool.num_threads(), kMaxPassTokens));
  state->pass.emplace(std::move(pass));
  return IntModel(std::move(state));
}

Status IntModel::forward(std::span<const std::int32_t> tokens, std::span<const Span> spans, MatrixView hidden) {
  State& state = *state_;
  std::size_t total = 0;
  for (const Span& span : spans) total += static_cast<std::size_t>(span.num_tokens);
  QUERNEL_CHECK(total == tokens.size() && hidden.rows == static_cast<std::int64_t>(total), "{} tokens in spans of {}",
                tokens.size(), total);
  QUERNEL_TRY_STATUS(runtime::check_tokens(*state.config, tokens));
  // Passes of bounded size: whole spans and parts of them, in order.
  std::vector<Span> pass;
  std::int64_t first = 0;
  std::int64_t rows = 0;
  const auto run = [&]() -> Status {
    for (const Span& span : pass) QUERNEL_TRY_STATUS(span.cache->reserve(span.num_tokens));
    state.pass->run(*state.pool, tokens.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(rows)), pass,
                    hidden.row_block(first, rows));
    for (const Span& span : pass) span.cache->commit(span.num_tokens);
    first += rows;
    rows = 0;
    pass.clear();
    return ok_status();
  };
  for (const Span& span : spans)
    for (std::int64_t done = 0; done < span.num_tokens;) {
      const std::int64_t count = std::min(span.num_tokens - done, kMaxPassTokens - rows);
      pass.push_back({span.cache, count});
      rows += count;
      done += count;
      if (rows == kMaxPassTokens) QUERNEL_TRY_STATUS(run());
    }
  if (rows > 0) QUERNEL_TRY_STATUS(run());
  return ok_status();
}

void IntModel::set_profile(PassProfile* profile) { state_->pass->set_profile(profile); }

void IntModel::logits(ConstMatrixView hidden, MatrixView out) {
  for (std::int64_t first = 0; first < hidden.rows; first += kMaxPassTokens) {
    const std::int64_t rows = std::min(kMaxPassTokens, hidden.rows - first);
    state_->pass->logits(*state_->pool, hidden.row_block(first, rows), out.row_block(first, rows));
  }
}

void IntModel::top_tokens(ConstMatrixView hidden, std::int64_t most, std::span<runtime::TopTokens> out) {
  for (std::int64_t first = 0; first < hidden.rows; first += kMaxPassTokens) {
    const std::int64_t rows = std::min(kMaxPassTokens, hidden.rows - first);
    state_->pass->top_tokens(*state_->pool, hidden.row_block(first, rows), most,
                             out.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(rows)));
  }
}

}  // namespace quernel::engine
