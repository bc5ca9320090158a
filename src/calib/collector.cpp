#include "calib/collector.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "base/check.h"
#include "calib/channel_stats.h"
#include "calib/drift.h"
#include "calib/hessian.h"
#include "calib/state_file.h"
#include "calib/streams.h"
#include "sys/interrupt.h"

namespace quernel::calib {

namespace {

using model::Site;

// A NaN or infinity in column j of the inputs makes diagonal element j of H one, so H tells of all of them.
Status check_diagonal(ConstMatrixView hessian, std::int64_t layer, Site site) {
  for (std::int64_t j = 0; j < hessian.rows; ++j) {
    if (!std::isfinite(hessian(j, j))) {
      return nonfinite(layer, fmt::format("inputs of site {}, channel {}", model::to_string(site), j));
    }
  }
  return ok_status();
}

// What a ceiling leaves, at least 1: 0 would mean that there is none.
std::uint64_t available_bytes(const sys::MemoryBudget* budget) {
  if (budget == nullptr || budget->ceiling_bytes() == 0) return 0;
  const std::uint64_t reserved = std::min(budget->reserved_bytes(), budget->ceiling_bytes());
  return std::max<std::uint64_t>(1, budget->ceiling_bytes() - reserved);
}

// What is measured of a site beside its Hessian.
struct SiteSamples {
  std::optional<ChannelStats> channels;
  RowSample rows;
  std::optional<ProbeRows> probe;
  std::vector<float> max_abs_keys;  // [kv_heads * head_dim] where asked for

  SiteSamples(const model::ModelConfig& config, const CalibratorOptions& options, std::int64_t num_tokens, Site site)
      : rows(num_tokens, model::site_width(config, site), options.sample_rows) {
    if (options.channel_stats) channels.emplace(model::site_width(config, site));
    if (options.probe && site == Site::mlp_out) probe.emplace(num_tokens, model::site_width(config, site));
    if (options.channel_stats && site == Site::attention_out)
      max_abs_keys.assign(static_cast<std::size_t>(config.kv_size()), 0.0F);
  }
  void add(ConstMatrixView x, sys::ThreadPool& pool) {
    if (channels.has_value()) channels->add(x, pool);
    rows.add(x);
    if (probe.has_value()) probe->add(x, pool);
  }
  void finish(quant::LayerStats& stats) {
    if (channels.has_value()) channels->finish(stats);
    stats.max_abs_keys = std::move(max_abs_keys);
    stats.sample = std::move(rows).take();
    if (probe.has_value()) stats.probe = std::move(*probe).take();
  }
};

}  // namespace

struct BlockCalibrator::State {
  const model::ModelConfig* config = nullptr;
  const CalibrationSamples* samples = nullptr;
  CalibratorOptions options;
  MemoryPlan plan;
  std::uint64_t reserved_bytes = 0;
  std::unique_ptr<Streams> streams;
  std::optional<DriftSums> drift;  // where there are two streams
  bool started = false;
  std::int64_t layer = 0;
  std::size_t site = 0;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (options.budget != nullptr) options.budget->release(reserved_bytes);
  }

  void start_at(std::int64_t first_layer) {
    streams->start_branch();
    started = true;
    layer = first_layer;
    site = 0;
  }
  void check_call(const runtime::LayerWeights& weights, Site at, const runtime::LayerWeights* source) const {
    QUERNEL_CHECK(started, "embed() or restore() comes first");
    QUERNEL_CHECK(layer < config->num_layers, "all {} layers are done", config->num_layers);
    QUERNEL_CHECK(weights.index == layer, "layer {} given, {} is next", weights.index, layer);
    QUERNEL_CHECK(model::kSites[site] == at, "site {} given, {} is next", model::to_string(at),
                  model::to_string(model::kSites[site]));
    QUERNEL_CHECK((source != nullptr) == drift.has_value(), "the source's layer goes with drift");
    QUERNEL_CHECK(source == nullptr || source->index == layer, "layer {} of the source, {} is next", source->index,
                  layer);
  }
  [[nodiscard]] StateHeader header() const {
    StateHeader header;
    header.layer = layer;
    header.rows = static_cast<std::int64_t>(streams->count()) * samples->num_tokens();
    header.width = config->hidden_size;
    header.length = samples->length;
    header.samples_sha256 = samples->sha256;
    header.precision = runtime::to_string(runtime::effective(options.precision));
    if (options.simulated.any()) header.precision.append(" ").append(runtime::to_string(options.simulated));
    return header;
  }
};

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
  state->config = &config;
  state->samples = &samples;
  const bool has_drift = options.drift != Drift::none;
  const bool bf16 = keeps_bf16(options, make_chunks(samples.count(), samples.length));
  QUERNEL_TRY(state->plan, plan_memory(config, samples.count(), samples.length, available_bytes(options.budget),
                                       {.streams = has_drift ? 2 : 1, .bf16_outputs = bf16}));
  if (options.budget != nullptr) {
    QUERNEL_TRY_STATUS(options.budget->reserve("calibration", state->plan.memory_bytes()));
    state->reserved_bytes = state->plan.memory_bytes();
  }
  state->options = options;
  QUERNEL_TRY(state->streams, Streams::create(config, samples, options, state->plan));
  if (has_drift) state->drift.emplace(config, state->options, *state->streams);
  return BlockCalibrator(std::move(state));
}

BlockCalibrator::BlockCalibrator(std::unique_ptr<State> state) : state_(std::move(state)) {}
BlockCalibrator::~BlockCalibrator() = default;
BlockCalibrator::BlockCalibrator(BlockCalibrator&&) noexcept = default;
BlockCalibrator& BlockCalibrator::operator=(BlockCalibrator&&) noexcept = default;

Status BlockCalibrator::embed(const runtime::EndWeights& ends) {
  QUERNEL_TRY_STATUS(state_->streams->embed(ends));
  state_->start_at(0);
  return ok_status();
}

Result<quant::LayerStats> BlockCalibrator::collect(const runtime::LayerWeights& weights, Site site,
                                                   const runtime::LayerWeights* source) {
  State& state = *state_;
  Streams& streams = *state.streams;
  const CalibratorOptions& options = state.options;
  state.check_call(weights, site, source);
  const std::int64_t width = model::site_width(*state.config, site);
  quant::LayerStats stats;
  stats.hessian = Matrix(width, width);
  if (source != nullptr) state.drift->start(*source, site, stats);
  SiteSamples samples(*state.config, options, state.samples->num_tokens(), site);
  streams.forget_kept();
  for (std::size_t index = 0; index < streams.chunks().size(); ++index) {
    const Chunk& chunk = streams.chunks()[index];
    QUERNEL_TRY_STATUS(sys::check_interrupt());
    const ConstMatrixView x = streams.input(weights, site, chunk, 0, samples.max_abs_keys);
    accumulate_hessian(x, options.precision, stats.hessian, *options.pool);
    if (source != nullptr) QUERNEL_TRY_STATUS(state.drift->add(*source, index, x, stats));
    samples.add(x, *options.pool);
    streams.keep(site, chunk, x);
    stats.num_tokens += chunk.num_rows;
    for (std::size_t stream = 0; stream < streams.count(); ++stream) streams.release(chunk, stream);
  }
  finish_hessian(stats.hessian);
  if (source != nullptr) state.drift->finish(*source, stats);
  QUERNEL_TRY_STATUS(check_diagonal(stats.hessian, state.layer, site));
  samples.finish(stats);
  return stats;
}

Status BlockCalibrator::advance(const runtime::LayerWeights& weights, Site site, const runtime::LayerWeights* source) {
  State& state = *state_;
  state.check_call(weights, site, source);
  if (joins_residual(site)) QUERNEL_TRY_STATUS(state.streams->pass_branch(weights, site, source));
  state.site = (state.site + 1) % model::kSites.size();
  if (state.site == 0) ++state.layer;
  return ok_status();
}

std::int64_t BlockCalibrator::next_layer() const { return state_->layer; }
model::Site BlockCalibrator::next_site() const { return model::kSites[state_->site]; }
const MemoryPlan& BlockCalibrator::plan() const { return state_->plan; }

Status BlockCalibrator::save(const std::string& path) const {
  QUERNEL_CHECK(state_->started && state_->site == 0, "hidden states are saved between layers");
  return save_state(path, state_->header(), state_->streams->store());
}

Status BlockCalibrator::restore(const std::string& path) {
  QUERNEL_TRY(const std::int64_t layer, load_state(path, state_->header(), state_->streams->store()));
  if (layer < 0 || layer > state_->config->num_layers) {
    Error error(Fault::corrupt, "layer of a calibration state file");
    return std::move(error).in_file(path).in_field("layer").expect(fmt::format("0 to {}", state_->config->num_layers),
                                                                   std::to_string(layer));
  }
  state_->start_at(layer);
  return ok_status();
}

}  // namespace quernel::calib
