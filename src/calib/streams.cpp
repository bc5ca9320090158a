#include "calib/streams.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>

#include "calib/for_rows.h"
#include "runtime/float_model.h"
#include "runtime/linear.h"
#include "tensor/tensor_view.h"

namespace quernel::calib {

using model::Site;

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

Error nonfinite(std::int64_t layer, std::string where) {
  Error error(Fault::invalid_argument,
              fmt::format("calibration met a value that is not finite in layer {}, {}", layer, where));
  return std::move(error).with_hint("the weights before this place are damaged, or overflow on this text");
}

bool joins_residual(Site site) { return site == Site::attention_out || site == Site::mlp_out; }

// Products of many rows round their inputs to bf16; those of few rows do not.
bool keeps_bf16(const CalibratorOptions& options, const std::vector<Chunk>& chunks) {
  return runtime::effective(options.precision) == runtime::Precision::bf16 &&
         std::all_of(chunks.begin(), chunks.end(), [](const Chunk& c) { return c.num_rows > runtime::kFewRows; });
}

namespace {

std::int64_t widest_output(const model::ModelConfig& config) {
  return std::max(model::site_width(config, Site::attention_out), model::site_width(config, Site::mlp_out));
}

void copy(ConstMatrixView from, MatrixView to) {
  for (std::int64_t row = 0; row < to.rows; ++row) {
    std::copy(from.row(row).begin(), from.row(row).end(), to.row(row).begin());
  }
}

}  // namespace

Result<std::unique_ptr<Streams>> Streams::create(const model::ModelConfig& config, const CalibrationSamples& samples,
                                                 const CalibratorOptions& options, const MemoryPlan& plan) {
  auto streams = std::make_unique<Streams>();
  streams->config_ = &config;
  streams->samples_ = &samples;
  streams->options_ = options;
  streams->rope_ = runtime::RopeTable::make(config);
  streams->chunks_ = make_chunks(samples.count(), samples.length);
  QUERNEL_TRY_STATUS(streams->allocate(plan));
  return streams;
}

Status Streams::allocate(const MemoryPlan& plan) {
  const std::int64_t tokens = samples_->num_tokens();
  const std::int64_t chunk_rows = chunks_.front().num_rows;
  std::optional<std::string> folder;
  if (plan.spill) folder = options_.spill_folder;
  QUERNEL_TRY(hidden_, HiddenStore::create(static_cast<std::int64_t>(count()) * tokens, config_->hidden_size, folder));
  for (std::size_t stream = 0; stream < count(); ++stream) {
    normed_[stream] = Matrix::uninitialized(chunk_rows, config_->hidden_size);
    output_[stream] = Matrix::uninitialized(chunk_rows, widest_output(*config_));
  }
  keeps_ = !plan.recompute;
  if (keeps_) {
    QUERNEL_TRY(kept_, OutputStore::create(tokens, widest_output(*config_), keeps_bf16(options_, chunks_)));
  }
  return ok_status();
}

// The source runs along without simulated rounding.
runtime::BlockContext Streams::context(std::size_t stream, std::span<float> max_abs_keys) {
  runtime::BlockContext context;
  context.config = config_;
  context.rope = rope_.get();
  context.precision = options_.precision;
  context.pool = options_.pool;
  context.workspace = &workspace_;
  if (stream == 0) context.simulated = options_.simulated;
  context.max_abs_keys = max_abs_keys;
  return context;
}

Status Streams::embed(const runtime::EndWeights& ends) {
  std::vector<std::int32_t> tokens;
  for (const Chunk& chunk : chunks_) {
    tokens.clear();
    for (std::size_t i = 0; i < chunk.batch.size(); ++i) {
      const auto& window = samples_->windows[static_cast<std::size_t>(chunk.first_sequence) + i];
      tokens.insert(tokens.end(), window.begin(), window.end());
    }
    QUERNEL_TRY_STATUS(runtime::embed_tokens(*config_, ends, tokens, hidden(chunk, 0)));
    if (count() > 1) {
      copy(hidden(chunk, 0), hidden(chunk, 1));
      release(chunk, 1);
    }
    release(chunk, 0);
  }
  start_branch();
  return ok_status();
}

void Streams::start_branch() {
  forget_kept();
  num_ahead_ = 0;
}

MatrixView Streams::output_rows(const Chunk& chunk, Site site, std::size_t stream) {
  return {output_[stream].data(), chunk.num_rows, model::site_width(*config_, site)};
}

ConstMatrixView Streams::input(const runtime::LayerWeights& weights, Site site, const Chunk& chunk, std::size_t stream,
                               std::span<float> max_abs_keys) {
  const runtime::BlockContext with = context(stream, max_abs_keys);
  const MatrixView norm_out(normed_[stream].data(), chunk.num_rows, config_->hidden_size);
  const bool in_attention = site == Site::attention_in || site == Site::attention_out;
  if (in_attention) {
    runtime::attention_input(with, weights, hidden(chunk, stream), norm_out);
  } else {
    runtime::mlp_input(with, weights, hidden(chunk, stream), norm_out);
  }
  if (!joins_residual(site)) return norm_out;
  const MatrixView out = output_rows(chunk, site, stream);
  if (in_attention) {
    runtime::attention_mix(with, weights, norm_out, chunk.batch, out);
  } else {
    runtime::mlp_inner(with, weights, norm_out, out);
  }
  return out;
}

void Streams::keep(Site site, const Chunk& chunk, ConstMatrixView x) {
  if (!keeps_ || !joins_residual(site)) return;
  kept_.keep(chunk.first_row, x, *options_.pool);
  kept_rows_ += chunk.num_rows;
}

// Adds the output of attention or MLP, whose last linear reads x, to the chunk's hidden states.
Status Streams::add_branch(const runtime::LayerWeights& weights, Site site, const Chunk& chunk, ConstMatrixView x,
                           std::size_t stream) {
  const MatrixView out = hidden(chunk, stream);
  if (site == Site::attention_out) {
    runtime::attention_finish(context(stream), weights, x, out);
  } else {
    runtime::mlp_finish(context(stream), weights, x, out);
  }
  std::atomic<bool> finite{true};
  for_rows(out.rows, *options_.pool, [&](std::int64_t row) {
    if (first_nonfinite(out.row(row)) >= 0) finite = false;
  });
  if (finite) return ok_status();
  const std::int64_t bad = first_nonfinite({out.data, static_cast<std::size_t>(out.rows * out.cols)});
  const std::int64_t token = chunk.first_row + bad / out.cols;
  return nonfinite(weights.index,
                   fmt::format("output of {}, sample {}, token {}", site == Site::mlp_out ? "the MLP" : "attention",
                               token / samples_->length, token % samples_->length));
}

Status Streams::run_ahead(const runtime::LayerWeights& source, Site site, std::size_t index) {
  if (index < num_ahead_) return ok_status();
  const Chunk& chunk = chunks_[index];
  QUERNEL_TRY_STATUS(add_branch(source, site, chunk, input(source, site, chunk, 1), 1));
  num_ahead_ = index + 1;
  return ok_status();
}

Status Streams::pass_branch(const runtime::LayerWeights& weights, Site site, const runtime::LayerWeights* source) {
  const bool has_kept = kept_rows_ == samples_->num_tokens();
  for (const Chunk& chunk : chunks_) {
    const MatrixView kept = output_rows(chunk, site, 0);
    if (has_kept) kept_.read(chunk.first_row, kept, *options_.pool);
    const ConstMatrixView x = has_kept ? ConstMatrixView(kept) : input(weights, site, chunk, 0);
    QUERNEL_TRY_STATUS(add_branch(weights, site, chunk, x, 0));
    release(chunk, 0);
  }
  for (std::size_t index = num_ahead_; source != nullptr && index < chunks_.size(); ++index) {
    QUERNEL_TRY_STATUS(run_ahead(*source, site, index));
    release(chunks_[index], 1);
  }
  start_branch();
  return ok_status();
}

}  // namespace quernel::calib
