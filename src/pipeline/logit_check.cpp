#include "pipeline/logit_check.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "runtime/block.h"
#include "runtime/float_model.h"

namespace quernel::pipeline {

namespace {

// Mapped pages that the comparison has read: a second model need not lie beside them.
void release_all(const model::Checkpoint& checkpoint) {
  for (const model::TensorInfo& tensor : checkpoint.tensors()) checkpoint.release(tensor.name);
}

constexpr std::int64_t kTokens = 128;  // enough for every path of a block; the head's logits stay small

Result<Matrix> logits_of(const model::Checkpoint& checkpoint, const LayerChange& change,
                         const std::vector<std::int32_t>& tokens, sys::ThreadPool& pool) {
  const model::ModelConfig& config = checkpoint.config();
  const auto rows = static_cast<std::int64_t>(tokens.size());
  const auto rope = runtime::RopeTable::make(config);
  const runtime::BlockContext context{
      .config = &config, .rope = rope.get(), .precision = runtime::Precision::f32, .pool = &pool, .workspace = nullptr};
  QUERNEL_TRY(const runtime::EndWeights ends, runtime::load_ends(checkpoint));
  Matrix hidden(rows, config.hidden_size);
  QUERNEL_TRY_STATUS(runtime::embed_tokens(config, ends, tokens, hidden));
  const runtime::SequenceBatch batch{{.first_row = 0, .num_tokens = rows}};
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer) {
    QUERNEL_TRY(runtime::LayerWeights weights, runtime::load_layer(checkpoint, layer));
    if (change) QUERNEL_TRY_STATUS(change(weights));
    runtime::forward_block(context, weights, batch, hidden);
  }
  Matrix logits(rows, config.vocab_size);
  runtime::compute_logits(config, ends, runtime::Precision::f32, hidden, logits, pool);
  return logits;
}

// Rows of the head that are changed and multiplied at a time: their products stay small beside the logits.
constexpr std::int64_t kHeadRows = 4096;

runtime::SequenceBatch batch_of(const std::vector<std::vector<std::int32_t>>& windows,
                                std::vector<std::int32_t>& tokens) {
  runtime::SequenceBatch batch;
  for (const auto& window : windows) {
    batch.push_back({.first_row = static_cast<std::int64_t>(tokens.size()),
                     .num_tokens = static_cast<std::int64_t>(window.size())});
    tokens.insert(tokens.end(), window.begin(), window.end());
  }
  return batch;
}

// logits of hidden states under a changed final norm and head.
Matrix changed_logits(const ChangedModel& model, runtime::EndWeights& ends, ConstMatrixView hidden,
                      sys::ThreadPool& pool) {
  model::ModelConfig part = model.checkpoint.config();
  Matrix logits(hidden.rows, part.vocab_size);
  model.change->change_final_norm(ends.final_norm);
  const runtime::LinearWeight whole = ends.head;
  for (std::int64_t first = 0; first < whole.rows; first += kHeadRows) {
    part.vocab_size = std::min(kHeadRows, whole.rows - first);
    Matrix rows = runtime::widen(whole, first, part.vocab_size);
    model.change->change_head(rows, pool);
    ends.head = runtime::own_weight(std::move(rows));
    Matrix some(hidden.rows, part.vocab_size);
    runtime::compute_logits(part, ends, runtime::Precision::f32, hidden, some, pool);
    for (std::int64_t row = 0; row < some.rows(); ++row)
      std::copy(some.row(row).begin(), some.row(row).end(), logits.row(row).begin() + first);
  }
  return logits;
}

Result<Matrix> logits_of(const ChangedModel& model, const std::vector<std::vector<std::int32_t>>& windows,
                         sys::ThreadPool& pool) {
  model::ModelConfig config = model.checkpoint.config();
  if (model.change != nullptr) model.change->change_config(config);
  std::vector<std::int32_t> tokens;
  const runtime::SequenceBatch batch = batch_of(windows, tokens);
  const auto rope = runtime::RopeTable::make(config);
  const runtime::BlockContext context{
      .config = &config, .rope = rope.get(), .precision = runtime::Precision::f32, .pool = &pool, .workspace = nullptr};
  QUERNEL_TRY(runtime::EndWeights ends, runtime::load_ends(model.checkpoint));
  Matrix hidden(static_cast<std::int64_t>(tokens.size()), config.hidden_size);
  QUERNEL_TRY_STATUS(runtime::embed_tokens(config, ends, tokens, hidden));
  // The embedding's scale is a number: it does not matter that the change comes after it.
  if (model.change != nullptr) model.change->change_embedding(hidden, pool);
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer) {
    QUERNEL_TRY(runtime::LayerWeights weights, runtime::load_layer(model.checkpoint, layer));
    if (model.change != nullptr) model.change->change_layer(weights, pool);
    runtime::forward_block(context, weights, batch, hidden);
  }
  if (model.change != nullptr) return changed_logits(model, ends, hidden, pool);
  Matrix logits(hidden.rows(), config.vocab_size);
  runtime::compute_logits(config, ends, runtime::Precision::f32, hidden, logits, pool);
  return logits;
}

Result<LogitDifference> difference_of(const Matrix& expected, const Matrix& found) {
  if (expected.cols() != found.cols())
    return Error(Fault::verification_failed, "the models have different vocabularies")
        .expect(std::to_string(expected.cols()), std::to_string(found.cols()));
  LogitDifference difference;
  double squares = 0;
  for (std::int64_t i = 0; i < expected.size(); ++i) {
    const double gap = std::abs(double{expected.data()[i]} - double{found.data()[i]});
    // A NaN on one side only must not pass as "no larger than".
    difference.max_abs = gap <= difference.max_abs ? difference.max_abs : gap;
    squares += double{expected.data()[i]} * double{expected.data()[i]};
  }
  difference.reference_rms = std::sqrt(squares / static_cast<double>(std::max<std::int64_t>(expected.size(), 1)));
  return difference;
}

}  // namespace

std::vector<std::int32_t> check_tokens(std::int64_t vocab_size) {
  CounterRng rng(0, "logit check");
  std::vector<std::int32_t> tokens;
  for (std::int64_t i = 0; i < kTokens; ++i)
    tokens.push_back(static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(vocab_size))));
  return tokens;
}

Result<LogitDifference> compare_logits(const model::Checkpoint& reference, const LayerChange& change_reference,
                                       const model::Checkpoint& other, sys::ThreadPool& pool) {
  const std::vector<std::int32_t> tokens = check_tokens(reference.config().vocab_size);
  QUERNEL_TRY(const Matrix expected, logits_of(reference, change_reference, tokens, pool));
  release_all(reference);
  QUERNEL_TRY(const Matrix found, logits_of(other, {}, tokens, pool));
  return difference_of(expected, found);
}

Result<LogitDifference> compare_logits(const ChangedModel& reference, const ChangedModel& other,
                                       const std::vector<std::vector<std::int32_t>>& windows, sys::ThreadPool& pool) {
  QUERNEL_TRY(const Matrix expected, logits_of(reference, windows, pool));
  release_all(reference.checkpoint);
  QUERNEL_TRY(const Matrix found, logits_of(other, windows, pool));
  release_all(other.checkpoint);
  return difference_of(expected, found);
}

}  // namespace quernel::pipeline
