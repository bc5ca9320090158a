#include "calib/collector.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "calib/channel_stats.h"
#include "calib/for_rows.h"
#include "calib/hessian.h"
#include "calib/hidden_store.h"
#include "calib/output_store.h"
#include "calib/state_file.h"
#include "runtime/block.h"
#include "runtime/float_model.h"
#include "runtime/linear.h"
#include "runtime/rope.h"
#include "runtime/workspace.h"
#include "sys/interrupt.h"
#include "tensor/half.h"
#include "tensor/linalg.h"
#include "tensor/tensor_view.h"

namespace quernel::calib {

namespace {

using model::Site;

// Whole sequences that are computed together.
struct Chunk {
  std::int64_t first_row = 0;
  std::int64_t num_rows = 0;
  std::int64_t first_sequence = 0;
  runtime::SequenceBatch batch;
};

std::vector<Chunk> make_chunks(std::int64_t num_sequences, std::int64_t length) {
  std::vector<Chunk> chunks;
  const std::int64_t step = sequences_per_chunk(length);
  for (std::int64_t first = 0; first < num_sequences; first += step) {
    const std::int64_t count = std::min(step, num_sequences - first);
    Chunk& chunk = chunks.emplace_back();
    chunk.first_sequence = first;
    chunk.first_row = first * length;
    chunk.num_rows = count * length;
    for (std::int64_t i = 0; i < count; ++i) {
      runtime::SequenceSpan span;
      span.first_row = i * length;
      span.num_tokens = length;
      chunk.batch.push_back(span);
    }
  }
  return chunks;
}

// Outputs that are worth keeping from collect to advance; norms are cheap enough to be computed again.
bool is_kept(Site site) { return site == Site::attention_out || site == Site::mlp_out; }

// Products of many rows round their inputs to bf16; those of few rows do not.
bool keeps_bf16(const CalibratorOptions& options, const std::vector<Chunk>& chunks) {
  return runtime::effective(options.precision) == runtime::Precision::bf16 &&
         std::all_of(chunks.begin(), chunks.end(), [](const Chunk& c) { return c.num_rows > runtime::kFewRows; });
}

Error nonfinite(std::int64_t layer, std::string where) {
  Error error(Fault::invalid_argument,
              fmt::format("calibration met a value that is not finite in layer {}, {}", layer, where));
  return std::move(error).with_hint("the weights before this place are damaged, or overflow on this text");
}

void subtract(ConstMatrixView a, ConstMatrixView b, MatrixView out, sys::ThreadPool& pool) {
  for_rows(out.rows, pool, [&](std::int64_t row) {
    std::transform(a.row(row).begin(), a.row(row).end(), b.row(row).begin(), out.row(row).begin(), std::minus<>());
  });
}

void copy(ConstMatrixView from, MatrixView to) {
  for (std::int64_t row = 0; row < to.rows; ++row) {
    std::copy(from.row(row).begin(), from.row(row).end(), to.row(row).begin());
  }
}

// The linear whose output joins the hidden states.
model::Linear last_linear(Site site) { return site == Site::attention_out ? model::Linear::o : model::Linear::down; }

// A NaN or infinity in column j of the inputs makes diagonal element j of H one, so H tells of all of them.
Status check_diagonal(ConstMatrixView hessian, std::int64_t layer, Site site) {
  for (std::int64_t j = 0; j < hessian.rows; ++j) {
    if (!std::isfinite(hessian(j, j))) {
      return nonfinite(layer, fmt::format("inputs of site {}, channel {}", model::to_string(site), j));
    }
  }
  return ok_status();
}

}  // namespace

struct BlockCalibrator::State {
  const model::ModelConfig* config = nullptr;
  const CalibrationSamples* samples = nullptr;
  CalibratorOptions options;
  MemoryPlan plan;
  std::uint64_t reserved_bytes = 0;

  std::shared_ptr<const runtime::RopeTable> rope;
  runtime::Workspace workspace;
  std::vector<Chunk> chunks;
  HiddenStore hidden;  // [streams * tokens, hidden_size], stream after stream
  OutputStore stored;  // of the quantized stream
  bool stored_is_valid = false;
  std::array<Matrix, 2> normed;      // of each stream [chunk rows, hidden_size]
  std::array<Matrix, 2> output;      // of each stream [chunk rows, widest kept site]
  Matrix difference;                 // [chunk rows, widest site], where there are two streams
  std::size_t reference_chunks = 0;  // so many of the second stream have passed the branch in hand already

  std::vector<float> max_abs_keys;  // [kv_heads * head_dim] while they are asked for
  bool started = false;
  std::int64_t layer = 0;
  std::size_t site = 0;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (options.budget != nullptr) options.budget->release(reserved_bytes);
  }

  Status allocate();
  runtime::BlockContext context(std::size_t stream);
  [[nodiscard]] int num_streams() const { return options.drift == Drift::none ? 1 : 2; }
  MatrixView hidden_rows(const Chunk& chunk, std::size_t stream) const {
    return hidden.row_block(row_of(chunk, stream), chunk.num_rows);
  }
  std::int64_t row_of(const Chunk& chunk, std::size_t stream) const {
    return static_cast<std::int64_t>(stream) * samples->num_tokens() + chunk.first_row;
  }
  MatrixView output_rows(const Chunk& chunk, std::size_t stream, std::int64_t width);
  ConstMatrixView site_input(const runtime::LayerWeights& weights, Site at, const Chunk& chunk, std::size_t stream);
  Status check_call(const runtime::LayerWeights& weights, Site at, const runtime::LayerWeights* source) const;
  Status finish_branch(const runtime::LayerWeights& weights, Site at);
  Status pass_reference(const runtime::LayerWeights& source, Site at, std::size_t index);
  Status add_branch(const runtime::LayerWeights& weights, Site at, const Chunk& chunk, ConstMatrixView x,
                    std::size_t stream);
  [[nodiscard]] bool has_output_drift(const runtime::LayerWeights& weights, Site at) const;
  void start_drift(const runtime::LayerWeights& source, Site at, quant::LayerStats& stats) const;
  Status add_drift(const runtime::LayerWeights& source, Site at, std::size_t index, ConstMatrixView x,
                   quant::LayerStats& stats);
  void finish_drift(const runtime::LayerWeights& source, Site at, quant::LayerStats& stats) const;
  StateHeader header() const;
};

Status BlockCalibrator::State::allocate() {
  const std::int64_t tokens = samples->num_tokens();
  const std::int64_t width =
      std::max(model::site_width(*config, Site::attention_out), model::site_width(*config, Site::mlp_out));
  std::optional<std::string> folder;
  if (plan.spill) folder = options.spill_folder;
  const std::int64_t rows = num_streams() * tokens;
  const std::int64_t chunk_rows = chunks.front().num_rows;
  QUERNEL_TRY(hidden, HiddenStore::create(rows, config->hidden_size, folder));
  for (std::size_t stream = 0; std::cmp_less(stream, num_streams()); ++stream) {
    normed[stream] = Matrix::uninitialized(chunk_rows, config->hidden_size);
    output[stream] = Matrix::uninitialized(chunk_rows, width);
  }
  if (num_streams() > 1) difference = Matrix::uninitialized(chunk_rows, std::max(width, config->hidden_size));
  if (!plan.recompute) {
    QUERNEL_TRY(stored, OutputStore::create(tokens, width, keeps_bf16(options, chunks)));
  }
  return ok_status();
}

// The source runs along without simulated rounding.
runtime::BlockContext BlockCalibrator::State::context(std::size_t stream) {
  runtime::BlockContext context;
  context.config = config;
  context.rope = rope.get();
  context.precision = options.precision;
  context.pool = options.pool;
  context.workspace = &workspace;
  if (stream == 0) context.simulated = options.simulated;
  if (stream == 0) context.max_abs_keys = max_abs_keys;
  return context;
}

MatrixView BlockCalibrator::State::output_rows(const Chunk& chunk, std::size_t stream, std::int64_t width) {
  return {output[stream].data(), chunk.num_rows, width};
}

// What the modules of a site read. Valid until the next call for the same stream.
ConstMatrixView BlockCalibrator::State::site_input(const runtime::LayerWeights& weights, Site at, const Chunk& chunk,
                                                   std::size_t stream) {
  const MatrixView norm_out(normed[stream].data(), chunk.num_rows, config->hidden_size);
  const bool in_attention = at == Site::attention_in || at == Site::attention_out;
  if (in_attention) {
    runtime::attention_input(context(stream), weights, hidden_rows(chunk, stream), norm_out);
  } else {
    runtime::mlp_input(context(stream), weights, hidden_rows(chunk, stream), norm_out);
  }
  if (!is_kept(at)) return norm_out;
  const MatrixView out = output_rows(chunk, stream, model::site_width(*config, at));
  if (in_attention) {
    runtime::attention_mix(context(stream), weights, norm_out, chunk.batch, out);
  } else {
    runtime::mlp_inner(context(stream), weights, norm_out, out);
  }
  return out;
}

Status BlockCalibrator::State::check_call(const runtime::LayerWeights& weights, Site at,
                                          const runtime::LayerWeights* source) const {
  QUERNEL_CHECK(started, "embed() or restore() comes first");
  QUERNEL_CHECK(layer < config->num_layers, "all {} layers are done", config->num_layers);
  QUERNEL_CHECK(weights.index == layer, "layer {} given, {} is next", weights.index, layer);
  QUERNEL_CHECK(model::kSites[site] == at, "site {} given, {} is next", model::to_string(at),
                model::to_string(model::kSites[site]));
  QUERNEL_CHECK((source != nullptr) == (num_streams() > 1), "the source's layer goes with drift");
  QUERNEL_CHECK(source == nullptr || source->index == layer, "layer {} of the source, {} is next", source->index,
                layer);
  return ok_status();
}

// Adds the output of attention or MLP, whose last linear reads x, to the chunk's hidden states.
Status BlockCalibrator::State::add_branch(const runtime::LayerWeights& weights, Site at, const Chunk& chunk,
                                          ConstMatrixView x, std::size_t stream) {
  const MatrixView out = hidden_rows(chunk, stream);
  if (at == Site::attention_out) {
    runtime::attention_finish(context(stream), weights, x, out);
  } else {
    runtime::mlp_finish(context(stream), weights, x, out);
  }
  std::atomic<bool> finite{true};
  for_rows(out.rows, *options.pool, [&](std::int64_t row) {
    if (first_nonfinite(out.row(row)) >= 0) finite = false;
  });
  if (finite) return ok_status();
  const std::int64_t bad = first_nonfinite({out.data, static_cast<std::size_t>(out.rows * out.cols)});
  return nonfinite(layer,
                   fmt::format("output of {}, sample {}, token {}", at == Site::mlp_out ? "the MLP" : "attention",
                               (chunk.first_row + bad / out.cols) / samples->length,
                               (chunk.first_row + bad / out.cols) % samples->length));
}

Status BlockCalibrator::State::finish_branch(const runtime::LayerWeights& weights, Site at) {
  for (const Chunk& chunk : chunks) {
    if (stored_is_valid) {
      const MatrixView x = output_rows(chunk, 0, model::site_width(*config, at));
      stored.read(chunk.first_row, x, *options.pool);
      QUERNEL_TRY_STATUS(add_branch(weights, at, chunk, x, 0));
    } else {
      QUERNEL_TRY_STATUS(add_branch(weights, at, chunk, site_input(weights, at, chunk, 0), 0));
    }
    hidden.release(row_of(chunk, 0), chunk.num_rows);
  }
  return ok_status();
}

// Takes the second stream's next chunk past the branch, unless an earlier call did.
Status BlockCalibrator::State::pass_reference(const runtime::LayerWeights& source, Site at, std::size_t index) {
  if (index < reference_chunks) return ok_status();
  const Chunk& chunk = chunks[index];
  QUERNEL_TRY_STATUS(add_branch(source, at, chunk, site_input(source, at, chunk, 1), 1));
  reference_chunks = index + 1;
  return ok_status();
}

bool BlockCalibrator::State::has_output_drift(const runtime::LayerWeights& weights, Site at) const {
  const bool normalised = !(at == Site::attention_out ? weights.attention_post_norm : weights.mlp_post_norm).empty();
  return options.drift == Drift::stream && is_kept(at) && !normalised;
}

void BlockCalibrator::State::start_drift(const runtime::LayerWeights& source, Site at, quant::LayerStats& stats) const {
  const std::int64_t width = model::site_width(*config, at);
  if (has_output_drift(source, at)) {
    stats.output_drift = Matrix(config->hidden_size, width);
  } else {
    stats.input_drift = Matrix(width, width);
  }
}

// x: the inputs of the quantized stream in chunk `index`. With output drift the second stream passes the branch here already,
// so that it is computed once: the sum of (h_ref + W x_ref - h) x^T is taken, and finish_drift() takes W H off it.
Status BlockCalibrator::State::add_drift(const runtime::LayerWeights& source, Site at, std::size_t index,
                                         ConstMatrixView x, quant::LayerStats& stats) {
  const Chunk& chunk = chunks[index];
  if (!has_output_drift(source, at)) {
    const MatrixView drift(difference.data(), x.rows, x.cols);
    subtract(site_input(source, at, chunk, 1), x, drift, *options.pool);
    accumulate_product(drift, x, options.precision, stats.input_drift, *options.pool);
    return ok_status();
  }
  QUERNEL_TRY_STATUS(pass_reference(source, at, index));
  const MatrixView drift(difference.data(), x.rows, config->hidden_size);
  subtract(hidden_rows(chunk, 1), hidden_rows(chunk, 0), drift, *options.pool);
  const std::vector<float>& bias = source.linear(last_linear(at)).bias;
  const auto scale = static_cast<float>(config->residual_scale);
  for_rows(bias.empty() ? 0 : drift.rows, *options.pool, [&](std::int64_t row) {
    for (std::size_t i = 0; i < bias.size(); ++i) drift.row(row)[i] -= scale * bias[i];
  });
  accumulate_product(drift, x, options.precision, stats.output_drift, *options.pool);
  return ok_status();
}

// Brings output drift into units of the linear's own output, and takes off what the source's weights make of x itself. In bf16
// those are the weights as products round them, so that a layer without drift shows none.
void BlockCalibrator::State::finish_drift(const runtime::LayerWeights& source, Site at,
                                          quant::LayerStats& stats) const {
  if (stats.output_drift.empty()) return;
  Matrix weight = runtime::widen(source.linear(last_linear(at)));
  if (runtime::effective(options.precision) == runtime::Precision::bf16) {
    for (std::int64_t i = 0; i < weight.size(); ++i) weight.data()[i] = bf16_to_float(float_to_bf16(weight.data()[i]));
  }
  const auto scale = static_cast<float>(1.0 / config->residual_scale);
  gemm_nn(weight, stats.hessian, stats.output_drift, -1.0F, scale, *options.pool);
}

StateHeader BlockCalibrator::State::header() const {
  StateHeader header;
  header.layer = layer;
  header.rows = num_streams() * samples->num_tokens();
  header.width = config->hidden_size;
  header.length = samples->length;
  header.samples_sha256 = samples->sha256;
  header.precision = runtime::to_string(runtime::effective(options.precision));
  if (options.simulated.any()) header.precision.append(" ").append(runtime::to_string(options.simulated));
  return header;
}

Result<BlockCalibrator> BlockCalibrator::create(const model::ModelConfig& config, const CalibrationSamples& samples,
                                                const CalibratorOptions& options) {
  QUERNEL_CHECK(options.pool != nullptr && samples.count() > 0);
  QUERNEL_TRY_STATUS(runtime::validate(options.simulated));
  if (config.max_positions > 0 && samples.length > config.max_positions) {
    Error error(Fault::invalid_argument, "calibration samples are longer than the model's context");
    return std::move(error).expect(fmt::format("at most {} tokens", config.max_positions),
                                   fmt::format("{} tokens", samples.length));
  }
  auto state = std::make_unique<State>();
  std::vector<Chunk> chunks = make_chunks(samples.count(), samples.length);
  state->config = &config;
  state->samples = &samples;
  std::uint64_t available = 0;
  if (options.budget != nullptr && options.budget->ceiling_bytes() != 0) {
    const std::uint64_t reserved = options.budget->reserved_bytes();
    // 1 rather than 0, which would mean no ceiling.
    available = std::max<std::uint64_t>(
        1, options.budget->ceiling_bytes() - std::min(reserved, options.budget->ceiling_bytes()));
  }
  QUERNEL_TRY(state->plan, plan_memory(config, samples.count(), samples.length, available,
                                       {.streams = options.drift == Drift::none ? 1 : 2,
                                        .bf16_outputs = keeps_bf16(options, chunks)}));
  if (options.budget != nullptr) {
    QUERNEL_TRY_STATUS(options.budget->reserve("calibration", state->plan.memory_bytes()));
    state->reserved_bytes = state->plan.memory_bytes();
  }
  state->options = options;
  state->rope = runtime::RopeTable::make(config);
  state->chunks = std::move(chunks);
  QUERNEL_TRY_STATUS(state->allocate());
  return BlockCalibrator(std::move(state));
}

BlockCalibrator::BlockCalibrator(std::unique_ptr<State> state) : state_(std::move(state)) {}
BlockCalibrator::~BlockCalibrator() = default;
BlockCalibrator::BlockCalibrator(BlockCalibrator&&) noexcept = default;
BlockCalibrator& BlockCalibrator::operator=(BlockCalibrator&&) noexcept = default;

Status BlockCalibrator::embed(const runtime::EndWeights& ends) {
  State& state = *state_;
  std::vector<std::int32_t> tokens;
  for (const Chunk& chunk : state.chunks) {
    tokens.clear();
    for (std::size_t i = 0; i < chunk.batch.size(); ++i) {
      const auto& window = state.samples->windows[static_cast<std::size_t>(chunk.first_sequence) + i];
      tokens.insert(tokens.end(), window.begin(), window.end());
    }
    QUERNEL_TRY_STATUS(runtime::embed_tokens(*state.config, ends, tokens, state.hidden_rows(chunk, 0)));
    if (state.num_streams() > 1) {
      copy(state.hidden_rows(chunk, 0), state.hidden_rows(chunk, 1));
      state.hidden.release(state.row_of(chunk, 1), chunk.num_rows);
    }
    state.hidden.release(chunk.first_row, chunk.num_rows);
  }
  state.started = true;
  state.stored_is_valid = false;
  state.reference_chunks = 0;
  state.layer = 0;
  state.site = 0;
  return ok_status();
}

Result<quant::LayerStats> BlockCalibrator::collect(const runtime::LayerWeights& weights, Site site,
                                                   const runtime::LayerWeights* source) {
  State& state = *state_;
  QUERNEL_TRY_STATUS(state.check_call(weights, site, source));
  const std::int64_t width = model::site_width(*state.config, site);
  quant::LayerStats stats;
  stats.hessian = Matrix(width, width);
  if (source != nullptr) state.start_drift(*source, site, stats);
  std::optional<ChannelStats> channels;
  if (state.options.channel_stats) channels.emplace(width);
  const bool wants_keys = channels.has_value() && site == Site::attention_out;
  state.max_abs_keys.assign(wants_keys ? static_cast<std::size_t>(state.config->kv_size()) : 0, 0.0F);
  RowSample sample(state.samples->num_tokens(), width, state.options.sample_rows);
  std::optional<ProbeRows> probe;
  if (state.options.probe && site == Site::mlp_out) probe.emplace(state.samples->num_tokens(), width);
  state.stored_is_valid = false;
  for (std::size_t index = 0; index < state.chunks.size(); ++index) {
    const Chunk& chunk = state.chunks[index];
    QUERNEL_TRY_STATUS(sys::check_interrupt());
    const ConstMatrixView x = state.site_input(weights, site, chunk, 0);
    accumulate_hessian(x, state.options.precision, stats.hessian, *state.options.pool);
    if (source != nullptr) QUERNEL_TRY_STATUS(state.add_drift(*source, site, index, x, stats));
    if (channels.has_value()) channels->add(x, *state.options.pool);
    sample.add(x);
    if (probe.has_value()) probe->add(x, *state.options.pool);
    if (is_kept(site) && !state.plan.recompute) state.stored.keep(chunk.first_row, x, *state.options.pool);
    stats.num_tokens += chunk.num_rows;
    for (std::size_t stream = 0; std::cmp_less(stream, state.num_streams()); ++stream) {
      state.hidden.release(state.row_of(chunk, stream), chunk.num_rows);
    }
  }
  finish_hessian(stats.hessian);
  if (source != nullptr) state.finish_drift(*source, site, stats);
  QUERNEL_TRY_STATUS(check_diagonal(stats.hessian, state.layer, site));
  if (channels.has_value()) channels->finish(stats);
  stats.max_abs_keys = std::exchange(state.max_abs_keys, {});
  stats.sample = std::move(sample).take();
  if (probe.has_value()) stats.probe = std::move(*probe).take();
  state.stored_is_valid = is_kept(site) && !state.plan.recompute;
  return stats;
}

Status BlockCalibrator::advance(const runtime::LayerWeights& weights, Site site, const runtime::LayerWeights* source) {
  State& state = *state_;
  QUERNEL_TRY_STATUS(state.check_call(weights, site, source));
  if (is_kept(site)) {
    QUERNEL_TRY_STATUS(state.finish_branch(weights, site));
    for (std::size_t index = state.reference_chunks; source != nullptr && index < state.chunks.size(); ++index) {
      QUERNEL_TRY_STATUS(state.pass_reference(*source, site, index));
      state.hidden.release(state.row_of(state.chunks[index], 1), state.chunks[index].num_rows);
    }
    state.stored_is_valid = false;
    state.reference_chunks = 0;
  }
  state.site = (state.site + 1) % model::kSites.size();
  if (state.site == 0) ++state.layer;
  return ok_status();
}

std::int64_t BlockCalibrator::next_layer() const { return state_->layer; }
model::Site BlockCalibrator::next_site() const { return model::kSites[state_->site]; }
const MemoryPlan& BlockCalibrator::plan() const { return state_->plan; }

Status BlockCalibrator::save(const std::string& path) const {
  QUERNEL_CHECK(state_->started && state_->site == 0, "hidden states are saved between layers");
  return save_state(path, state_->header(), state_->hidden);
}

Status BlockCalibrator::restore(const std::string& path) {
  QUERNEL_TRY(const std::int64_t layer, load_state(path, state_->header(), state_->hidden));
  if (layer < 0 || layer > state_->config->num_layers) {
    Error error(Fault::corrupt, "layer of a calibration state file");
    return std::move(error).in_file(path).in_field("layer").expect(fmt::format("0 to {}", state_->config->num_layers),
                                                                   std::to_string(layer));
  }
  state_->started = true;
  state_->stored_is_valid = false;
  state_->reference_chunks = 0;
  state_->layer = layer;
  state_->site = 0;
  return ok_status();
}

}  // namespace quernel::calib
