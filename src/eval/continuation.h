// How likely a model holds a continuation after a context: the log-likelihood that multiple-choice tasks compare.
//
// Tokens   of context + continuation encoded as one text; the continuation's are those behind as many as the context
//          alone has. White space at the context's end belongs to the continuation. Behind what the vocabulary puts
//          before a text (BOS); what it puts after one (EOS) is left out. Where nothing stands before the continuation,
//          BOS or else EOS does.
// Length   tokens beyond the model's positions are cut from the left (the last one is only predicted, never fed)
// Formula  sum over the continuation's tokens of log softmax(logits of the token before)[token]
// Source   lm-evaluation-harness 0.4: TemplateLM._encode_pair, HFLM._loglikelihood_tokens
// Exact    log-sum-exp of float logits with double sums; the same bytes for any number of threads, and for other
//          batches equal up to the rounding of sums
// Memory   hidden states of a batch, logits of one chunk of rows (eval/window_runner.h)
// Errors   invalid_argument: a continuation without tokens, longer than the model's positions, with nothing before it;
//          token ids outside the model's vocabulary
// Threads  one thread at a time; work inside is spread over the pool
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/language_model.h"
#include "sys/thread_pool.h"
#include "tensor/matrix.h"
#include "text/tokenizer.h"

namespace quernel::eval {

struct EncodedPair {
  std::vector<std::int32_t> tokens;  // at least one before those that are scored
  std::int64_t num_scored = 0;       // the last ones, at least one
  bool was_cut = false;
  // Tokens that the model is fed: the last one is only predicted.
  [[nodiscard]] std::int64_t num_fed() const { return static_cast<std::int64_t>(tokens.size()) - 1; }
};

class PairEncoder {
 public:
  // max_positions: what the model can be fed at once. The tokenizer must outlive the encoder.
  PairEncoder(const text::Tokenizer& tokenizer, std::int64_t max_positions);
  [[nodiscard]] Result<EncodedPair> encode(std::string_view context, std::string_view continuation) const;

 private:
  const text::Tokenizer* tokenizer_;
  std::int64_t max_positions_;
  std::vector<std::int32_t> prefix_;    // before every text
  std::vector<std::int32_t> stand_in_;  // before a continuation without context
};

// The positions that a model of this configuration can be fed.
std::int64_t usable_positions(const model::ModelConfig& config);

struct ContinuationScore {
  double log_likelihood = 0.0;  // nats; not finite where the logits are not
  bool greedy = false;          // every token is the likeliest, the lowest of equals
};

class ContinuationScorer {
 public:
  // Both must outlive the scorer.
  ContinuationScorer(const runtime::LanguageModel& model, sys::ThreadPool& pool);
  // One score a pair, in order. All pairs in one pass: the caller bounds their tokens.
  Result<std::vector<ContinuationScore>> score(std::span<const EncodedPair> pairs);

 private:
  struct Batch;
  [[nodiscard]] Result<Batch> gather(std::span<const EncodedPair> pairs) const;
  Status run(std::span<const EncodedPair> pairs, Batch& batch) const;  // hidden states of the scored rows
  void score_rows(Batch& batch);

  const runtime::LanguageModel* model_;
  sys::ThreadPool* pool_;
  Matrix logits_;  // [rows_per_chunk, vocab_size]
};

}  // namespace quernel::eval
