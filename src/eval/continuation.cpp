#include "eval/continuation.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "eval/task_text.h"
#include "eval/window_runner.h"
#include "kernels/rowwise/table.h"
#include "runtime/rope.h"
#include "runtime/sampler.h"

namespace quernel::eval {

namespace {

std::vector<std::int32_t> prefix_of(const text::Vocabulary& vocabulary) {
  if (!vocabulary.prefix.empty()) return vocabulary.prefix;
  if (vocabulary.add_bos && vocabulary.bos) return {*vocabulary.bos};
  return {};
}

std::vector<std::int32_t> stand_in_of(const text::Vocabulary& vocabulary) {
  if (vocabulary.bos) return {*vocabulary.bos};
  if (vocabulary.eos) return {*vocabulary.eos};
  return {};
}

}  // namespace

PairEncoder::PairEncoder(const text::Tokenizer& tokenizer, std::int64_t max_positions)
    : tokenizer_(&tokenizer),
      max_positions_(max_positions),
      prefix_(prefix_of(tokenizer.vocabulary())),
      stand_in_(stand_in_of(tokenizer.vocabulary())) {}

Result<EncodedPair> PairEncoder::encode(std::string_view context, std::string_view continuation) const {
  const std::string whole = std::string(context) + std::string(continuation);
  const std::vector<std::int32_t> ids = tokenizer_->encode(whole);
  const std::size_t num_context = tokenizer_->encode(strip_end(context)).size();
  if (ids.size() <= num_context) return Error(Fault::invalid_argument, "the continuation has no tokens of its own");
  EncodedPair pair;
  pair.num_scored = static_cast<std::int64_t>(ids.size() - num_context);
  if (pair.num_scored > max_positions_) {
    Error error(Fault::invalid_argument, "the continuation is longer than the model was made for");
    return std::move(error).expect(fmt::format("at most {} tokens", max_positions_), std::to_string(pair.num_scored));
  }
  pair.tokens = num_context == 0 && prefix_.empty() ? stand_in_ : prefix_;
  pair.tokens.insert(pair.tokens.end(), ids.begin(), ids.end());
  if (pair.num_fed() < pair.num_scored)
    return Error(Fault::invalid_argument,
                 "nothing stands before the continuation, and the vocabulary has no BOS or EOS");
  if (const std::int64_t too_many = pair.num_fed() - max_positions_; too_many > 0) {
    pair.tokens.erase(pair.tokens.begin(), pair.tokens.begin() + too_many);
    pair.was_cut = true;
  }
  return pair;
}

std::int64_t usable_positions(const model::ModelConfig& config) {
  const std::int64_t most = runtime::RopeTable::kMaxPositions;
  return config.max_positions > 0 ? std::min(config.max_positions, most) : most;
}

// A batch on its way: what is fed, and the rows that are scored, those of a pair one after another.
struct ContinuationScorer::Batch {
  std::vector<std::int32_t> fed;
  std::vector<std::int64_t> lengths;  // of the sequences in it
  std::vector<std::int32_t> targets;  // the token that a row is scored against
  Matrix rows;                        // [targets, hidden_size]
  std::vector<double> log_likelihood;
  std::vector<char> greedy;  // bytes, not bits: rows are written by several threads
};

ContinuationScorer::ContinuationScorer(const runtime::LanguageModel& model, sys::ThreadPool& pool)
    : model_(&model),
      pool_(&pool),
      logits_(Matrix::uninitialized(rows_per_chunk(model.config().vocab_size), model.config().vocab_size)) {}

Result<ContinuationScorer::Batch> ContinuationScorer::gather(std::span<const EncodedPair> pairs) const {
  Batch batch;
  for (const EncodedPair& pair : pairs) {
    QUERNEL_CHECK(pair.num_scored >= 1 && pair.num_fed() >= pair.num_scored, "{} tokens scored, {} fed",
                  pair.num_scored, pair.num_fed());
    batch.lengths.push_back(pair.num_fed());
    batch.fed.insert(batch.fed.end(), pair.tokens.begin(), pair.tokens.end() - 1);
    batch.targets.insert(batch.targets.end(), pair.tokens.end() - pair.num_scored, pair.tokens.end());
  }
  // The model checks the tokens that it is fed; a continuation's last one it never sees.
  const std::int64_t vocab_size = model_->config().vocab_size;
  for (const std::int32_t target : batch.targets)
    if (target < 0 || target >= vocab_size)
      return Error(Fault::invalid_argument, "a token is outside the model's vocabulary")
          .expect(fmt::format("0..{}", vocab_size - 1), std::to_string(target))
          .with_hint("the tokenizer is another model's");
  batch.log_likelihood.resize(batch.targets.size());
  batch.greedy.resize(batch.targets.size());
  return batch;
}

Status ContinuationScorer::run(std::span<const EncodedPair> pairs, Batch& batch) const {
  Matrix hidden = Matrix::uninitialized(static_cast<std::int64_t>(batch.fed.size()), model_->config().hidden_size);
  QUERNEL_TRY_STATUS(model_->run_sequences(batch.fed, batch.lengths, hidden));
  batch.rows = Matrix::uninitialized(static_cast<std::int64_t>(batch.targets.size()), hidden.cols());
  std::int64_t next = 0;
  std::int64_t end = 0;
  for (const EncodedPair& pair : pairs) {
    end += pair.num_fed();
    for (std::int64_t row = end - pair.num_scored; row < end; ++row, ++next)
      std::ranges::copy(hidden.row(row), batch.rows.row(next).begin());
  }
  return ok_status();
}

void ContinuationScorer::score_rows(Batch& batch) {
  const auto log_sum_exp = kernels::rowwise::functions().log_sum_exp;
  const std::int64_t count = batch.rows.rows();
  for (std::int64_t first = 0; first < count; first += logits_.rows()) {
    const MatrixView logits = logits_.view().row_block(0, std::min(logits_.rows(), count - first));
    model_->logits(batch.rows.view().row_block(first, logits.rows), logits);
    pool_->parallel_for(logits.rows, [&](std::int64_t row) {
      const std::span<const float> values = logits.row(row);
      const auto at = static_cast<std::size_t>(first + row);
      const float target = values[static_cast<std::size_t>(batch.targets[at])];
      batch.log_likelihood[at] = static_cast<double>(target) - log_sum_exp(values.data(), logits.cols);
      batch.greedy[at] = runtime::argmax(values) == batch.targets[at] ? 1 : 0;
    });
  }
}

Result<std::vector<ContinuationScore>> ContinuationScorer::score(std::span<const EncodedPair> pairs) {
  QUERNEL_TRY(Batch batch, gather(pairs));
  QUERNEL_TRY_STATUS(run(pairs, batch));
  score_rows(batch);
  std::vector<ContinuationScore> scores;
  std::size_t at = 0;
  for (const EncodedPair& pair : pairs) {
    ContinuationScore& score = scores.emplace_back();
    score.greedy = true;
    for (const std::size_t end = at + static_cast<std::size_t>(pair.num_scored); at < end; ++at) {
      score.log_likelihood += batch.log_likelihood[at];
      score.greedy = score.greedy && batch.greedy[at] != 0;
    }
  }
  return scores;
}

}  // namespace quernel::eval
