// One request while it runs: its tokens, cache, sampler and text.
//
// Tokens   prompt, then what was generated. Those behind the cache's end are missing: a sequence that decodes misses one, one that reads its prompt
//          (or, pre-empted, all it had) more
// Dropping where it was asked for, a cache that is full gives up a page before the next token, at the same tokens whenever they are computed
// Threads  sample(), sample_top() of different sequences at once; all else in the thread that steps the scheduler, which also receives the events
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/int_model.h"
#include "serve/prompt_lookup.h"
#include "serve/request.h"
#include "serve/text_stop.h"
#include "text/tokenizer.h"

namespace quernel::serve {

class Sequence {
 public:
  // The request has passed check_request; tokenizer may be null. Errors: invalid_argument (sampler).
  // limit: cache_limit().
  static Result<Sequence> make(RequestId id, Request request, engine::PagedCache cache, std::int64_t limit,
                               const text::Tokenizer* tokenizer);

  [[nodiscard]] RequestId id() const { return id_; }
  [[nodiscard]] std::span<const std::int32_t> tokens() const { return tokens_; }
  // What the cache holds, for others to share: nothing where pages were dropped.
  [[nodiscard]] std::span<const std::int32_t> cached() const {
    return tokens().first(static_cast<std::size_t>(cache_.dropped() > 0 ? 0 : cache_.length()));
  }
  [[nodiscard]] std::int64_t num_computed() const { return cache_.length() + cache_.dropped(); }
  [[nodiscard]] std::int64_t num_missing() const { return static_cast<std::int64_t>(tokens_.size()) - num_computed(); }
  // Slots of the cache that tokens may still take, and that it will have taken once nothing is missing.
  [[nodiscard]] std::int64_t num_free() const { return limit_ - cache_.length(); }
  [[nodiscard]] std::int64_t num_slots() const { return std::min(cache_.length() + num_missing(), limit_); }
  [[nodiscard]] bool decodes() const { return num_missing() == 1; }
  [[nodiscard]] bool ended() const { return end_.has_value(); }
  [[nodiscard]] bool answered() const { return ended() && end_ != EndReason::cancelled && end_ != EndReason::failed; }
  [[nodiscard]] engine::PagedCache& cache() { return cache_; }
  [[nodiscard]] const engine::PagedCache& cache() const { return cache_; }
  [[nodiscard]] const Usage& usage() const { return usage_; }

  // Goes on from a cache that holds the first tokens.
  void share(engine::PagedCache cache);
  // Gives the cache back; everything is missing then.
  void preempt(engine::PagedCache empty);

  // Before tokens are computed: room in the cache.
  void make_slots();
  // A guess at what follows the missing token, for sample() to judge.
  std::span<const std::int32_t> draft(const LookupOptions& options, std::int64_t most);
  void drop_draft() { draft_.clear(); }
  // logits [1 + draft, vocab], of the last token and of each draft token: the tokens up to the first that the draft did not foresee.
  void sample(ConstMatrixView logits);
  // The same from the best num_needed() tokens of each row.
  void sample_top(std::span<const runtime::TopTokens> rows);
  [[nodiscard]] std::int64_t num_needed() const { return sampler_.num_needed(); }
  // Their events, until one ends the sequence; the cache forgets draft tokens that did not come true.
  void deliver();
  void end(EndReason reason, const std::optional<Error>& error = {});

 private:
  template <typename Choose>
  void sample_rows(std::size_t num_rows, const Choose& choose);
  Sequence(RequestId id, Request request, engine::PagedCache cache, std::int64_t limit,
           const text::Tokenizer* tokenizer, runtime::Sampler sampler);
  void put(std::int32_t token);
  void learn(std::int64_t num_right);
  [[nodiscard]] bool is_stop(std::int32_t token) const;

  RequestId id_;
  Request request_;
  engine::PagedCache cache_;
  std::int64_t limit_;
  runtime::Sampler sampler_;
  std::optional<text::StreamDecoder> decoder_;
  TextStop stop_;
  std::vector<std::int32_t> tokens_;
  std::vector<std::int32_t> draft_, sampled_;
  std::int64_t draft_limit_ = 4;  // grows while guesses come true
  Usage usage_;
  std::optional<EndReason> end_;
};

}  // namespace quernel::serve
