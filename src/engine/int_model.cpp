#include "engine/int_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "engine/forward_pass.h"
#include "runtime/float_model.h"
#include "sys/memory.h"

namespace quernel::engine {
namespace {

constexpr std::int64_t kMaxPassTokens = 512;  // rows of intermediate results; longer spans are cut

Status check_options(const EngineOptions& options) {
  if (options.activation_bits == 0 || options.activation_bits == 8 || options.activation_bits == 16) return ok_status();
  return Error(Fault::unsupported, "bits that activations cannot have in the integer runtime")
      .in_field("--act-bits")
      .expect("8, 16, or 0: by the weights", fmt::format("{}", options.activation_bits));
}

// A packed module's bytes in the file are not needed again.
void release_module(const model::Checkpoint& checkpoint, const std::string& module) {
  for (const model::TensorInfo& tensor : checkpoint.tensors())
    if (tensor.name.starts_with(module + ".")) checkpoint.release(tensor.name);
}

Result<Layer> load_layer(const model::Checkpoint& checkpoint, std::int64_t index, sys::ThreadPool& pool) {
  Layer layer;
  QUERNEL_TRY(static_cast<runtime::LayerNorms&>(layer), runtime::load_layer_norms(checkpoint, index));
  layer.modules = model::linear_modules(checkpoint.config(), index);
  for (const model::LinearModule& module : layer.modules) {
    QUERNEL_TRY(PackedLinear linear, load_packed(checkpoint, module, pool));
    layer.linears.push_back(std::move(linear));
    release_module(checkpoint, module.name);
  }
  return layer;
}

Result<PackedLinear> load_head(const model::Checkpoint& checkpoint, const runtime::EndWeights& ends,
                               sys::ThreadPool& pool) {
  const bool tied = checkpoint.config().tie_word_embeddings;
  const std::string name = tied ? model::kEmbeddingTensor : std::string(model::kHeadModule) + ".weight";
  if (const std::optional<model::StoredBlocks> stored = checkpoint.blocks(name)) {
    Result<PackedLinear> head = pack_blocks(*stored, pool);
    if (!head.ok()) return std::move(head).error().in_file(checkpoint.path()).in_tensor(name);
    return head;
  }
  return pack_dense(ends.head, pool);
}

// At least this much memory a packed model takes: a weight as it is stored, a dense one in 8 bits and a scale for 64.
std::uint64_t least_bytes(const model::Checkpoint& checkpoint) {
  std::uint64_t bytes = 0;
  for (std::int64_t layer = 0; layer < checkpoint.config().num_layers; ++layer)
    for (const model::LinearModule& module : model::linear_modules(checkpoint.config(), layer)) {
      const std::string weight = module.name + ".weight";
      const bool is_dense = !checkpoint.is_quantized(module.name) && !checkpoint.blocks(weight);
      std::uint64_t stored = 0;
      for (const model::TensorInfo& tensor : checkpoint.tensors())
        if (tensor.name.starts_with(module.name + ".")) stored += tensor.bytes;
      bytes += is_dense ? static_cast<std::uint64_t>(module.rows * module.cols) * 33 / 32 : stored;
    }
  return bytes;
}

Status check_memory(const model::Checkpoint& checkpoint) {
  const std::uint64_t least = least_bytes(checkpoint);
  const std::uint64_t available = sys::available_bytes();
  if (least <= available) return ok_status();
  return Error(Fault::out_of_memory, "the model does not fit into memory")
      .in_file(checkpoint.path())
      .expect("at least " + sys::format_bytes(least), sys::format_bytes(available) + " available");
}

}  // namespace

struct IntModel::State {
  const model::ModelConfig* config = nullptr;
  EngineOptions options;
  sys::ThreadPool* pool = nullptr;
  std::vector<Layer> layers;
  runtime::EndWeights ends;
  PackedLinear head;
  std::shared_ptr<const runtime::RopeTable> rope;
  std::optional<OnlineTransform> head_transform, inner_transform;
  PagePool pages;
  std::optional<ForwardPass> pass;

  [[nodiscard]] PassModel lent() const {
    return {config,
            &options,
            &layers,
            &ends,
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
  for (const Layer& layer : state_->layers)
    for (const PackedLinear& linear : layer.linears)
      if (linear.is_made_for_int8()) return 8;
  return 16;
}
PagedCache IntModel::make_cache() const { return PagedCache(state_->pages); }
const PagePool& IntModel::pages() const { return state_->pages; }

std::uint64_t IntModel::weight_bytes() const {
  std::uint64_t bytes = state_->head.weight.bytes();
  for (const Layer& layer : state_->layers)
    for (const PackedLinear& linear : layer.linears) bytes += linear.weight.bytes();
  return bytes;
}

std::int64_t IntModel::num_weights() const {
  std::int64_t count = state_->head.rows() * state_->head.cols();
  for (const Layer& layer : state_->layers)
    for (const PackedLinear& linear : layer.linears) count += linear.rows() * linear.cols();
  return count;
}

Result<IntModel> IntModel::load(const model::Checkpoint& checkpoint, sys::ThreadPool& pool,
                                const EngineOptions& options) {
  QUERNEL_TRY_STATUS(check_options(options));
  QUERNEL_TRY_STATUS(check_memory(checkpoint));
  auto state = std::make_unique<State>();
  state->config = &checkpoint.config();
  state->options = options;
  state->pool = &pool;
  QUERNEL_TRY(state->pages, PagePool::make(*state->config, options.kv_bits, options.kv_budget));
  QUERNEL_TRY(state->ends, runtime::load_ends(checkpoint));
  QUERNEL_TRY(state->head, load_head(checkpoint, state->ends, pool));
  if (!state->config->tie_word_embeddings) {
    state->ends.head = {};
    release_module(checkpoint, model::kHeadModule);
  }
  for (std::int64_t layer = 0; layer < state->config->num_layers; ++layer) {
    QUERNEL_TRY(Layer loaded, load_layer(checkpoint, layer, pool));
    state->layers.push_back(std::move(loaded));
  }
  state->rope = runtime::RopeTable::make(*state->config);
  if (state->config->online_qk_hadamard) state->head_transform.emplace(state->config->head_dim);
  if (state->config->online_down_hadamard) state->inner_transform.emplace(state->config->intermediate_size);
  std::int64_t scratch = kernels::packed::scratch_bytes(state->head.weight.view());
  for (const Layer& layer : state->layers)
    for (const PackedLinear& linear : layer.linears)
      scratch = std::max(scratch, kernels::packed::scratch_bytes(linear.weight.view()));
  QUERNEL_TRY(ForwardPass pass, ForwardPass::make(state->lent(), pool.num_threads(), kMaxPassTokens,
                                                  static_cast<std::uint64_t>(scratch)));
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
    state_->pass->logits(*state_->pool, state_->head, hidden.row_block(first, rows), out.row_block(first, rows));
  }
}

}  // namespace quernel::engine
