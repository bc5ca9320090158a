#include "pipeline/block_errors.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/block.h"
#include "runtime/float_model.h"
#include "sys/interrupt.h"

namespace quernel::pipeline {

namespace {

constexpr std::int64_t kRowsAtOnce = 2048;  // of the stream: full passes of the products, buffers that stay small

// Sum over rows of |row - reference|^2 / |reference|^2. A row of zeros has no direction to lose and counts as it is.
double error_of(ConstMatrixView rows, ConstMatrixView reference) {
  double sum = 0.0;
  for (std::int64_t row = 0; row < rows.rows; ++row) {
    double difference = 0.0;
    double norm = 0.0;
    for (std::int64_t col = 0; col < rows.cols; ++col) {
      const double gap = double{rows(row, col)} - double{reference(row, col)};
      difference += gap * gap;
      norm += double{reference(row, col)} * double{reference(row, col)};
    }
    sum += norm > 0.0 ? difference / norm : difference;
  }
  return sum;
}

void copy_rows(ConstMatrixView from, MatrixView to) {
  for (std::int64_t row = 0; row < from.rows; ++row)
    std::copy(from.row(row).begin(), from.row(row).end(), to.row(row).begin());
}

// Whole windows whose rows follow each other.
struct Chunk {
  std::int64_t first_row = 0;
  std::int64_t num_rows = 0;
  runtime::SequenceBatch batch;  // rows counted from first_row
};

std::vector<Chunk> chunks_of(const std::vector<std::vector<std::int32_t>>& windows) {
  std::vector<Chunk> chunks;
  std::int64_t row = 0;
  for (const auto& window : windows) {
    const auto size = static_cast<std::int64_t>(window.size());
    if (chunks.empty() || chunks.back().num_rows + size > kRowsAtOnce) chunks.push_back({row, 0, {}});
    Chunk& chunk = chunks.back();
    chunk.batch.push_back({.first_row = chunk.num_rows, .num_tokens = size});
    chunk.num_rows += size;
    row += size;
  }
  return chunks;
}

class Measurement {
 public:
  explicit Measurement(const BlockErrorInput& input)
      : input_(input),
        config_(input.source.config()),
        chunks_(chunks_of(input.windows)),
        rope_(runtime::RopeTable::make(config_)) {
    exact_ = {.config = &config_,
              .rope = rope_.get(),
              .precision = runtime::Precision::f32,
              .pool = &input.pool,
              .workspace = &workspace_};
    rounded_ = exact_;
    rounded_.simulated = input.simulated;
  }

  Result<BlockErrors> run();

 private:
  Status embed();
  Result<std::vector<double>> measure_layer(std::int64_t layer);
  void release(std::int64_t layer) const;

  const BlockErrorInput& input_;
  const model::ModelConfig& config_;
  std::vector<Chunk> chunks_;
  std::shared_ptr<const runtime::RopeTable> rope_;
  runtime::Workspace workspace_;
  runtime::BlockContext exact_, rounded_;  // of the source, of the candidates
  Matrix stream_;                          // [tokens, hidden_size], before the block in hand
};

Result<BlockErrors> Measurement::run() {
  QUERNEL_TRY_STATUS(embed());
  BlockErrors errors;
  for (std::int64_t layer = 0; layer < config_.num_layers; ++layer) {
    QUERNEL_TRY_STATUS(sys::check_interrupt());
    QUERNEL_TRY(std::vector<double> of_layer, measure_layer(layer));
    errors.push_back(std::move(of_layer));
    release(layer);
    sys::ProgressEvent event;
    event.stage = "compare blocks";
    event.item = fmt::format("layer {}", layer);
    event.done = layer + 1;
    event.total = config_.num_layers;
    input_.progress.on_progress(event);
  }
  return errors;
}

Status Measurement::embed() {
  std::vector<std::int32_t> tokens;
  for (const auto& window : input_.windows) tokens.insert(tokens.end(), window.begin(), window.end());
  QUERNEL_TRY(const runtime::EndWeights ends, runtime::load_ends(input_.source));
  stream_ = Matrix(static_cast<std::int64_t>(tokens.size()), config_.hidden_size);
  return runtime::embed_tokens(config_, ends, tokens, stream_);
}

// The stream moves on to what the source's block gives.
Result<std::vector<double>> Measurement::measure_layer(std::int64_t layer) {
  QUERNEL_TRY(const runtime::LayerWeights reference, runtime::load_layer(input_.source, layer));
  std::vector<runtime::LayerWeights> candidates;
  for (const model::Checkpoint* candidate : input_.candidates) {
    QUERNEL_TRY(runtime::LayerWeights weights, runtime::load_layer(*candidate, layer));
    candidates.push_back(std::move(weights));
  }
  std::vector<double> errors(candidates.size());
  for (const Chunk& chunk : chunks_) {
    const MatrixView stream = stream_.view().row_block(chunk.first_row, chunk.num_rows);
    Matrix before = Matrix::uninitialized(stream.rows, stream.cols);
    Matrix after = Matrix::uninitialized(stream.rows, stream.cols);
    copy_rows(stream, before);
    runtime::forward_block(exact_, reference, chunk.batch, stream);
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      copy_rows(before, after);
      runtime::forward_block(rounded_, candidates[i], chunk.batch, after);
      errors[i] += error_of(after, stream);
    }
  }
  for (double& error : errors) error /= static_cast<double>(std::max<std::int64_t>(stream_.rows(), 1));
  return errors;
}

void Measurement::release(std::int64_t layer) const {
  for (const model::LinearModule& module : model::linear_modules(config_, layer))
    input_.source.release(module.name + ".weight");
}

}  // namespace

Result<BlockErrors> measure_block_errors(const BlockErrorInput& input) { return Measurement(input).run(); }

}  // namespace quernel::pipeline
