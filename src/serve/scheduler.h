// Many requests in one model: each step is one pass over the next tokens of all that run.
//
// A pass    first one token of every sequence that decodes; then pieces of prompts in order of arrival, up to pass_tokens in all (at least one
//           token); then drafts of speculation, up to verify_rows with the decoding tokens, which verifies them in the same products
// Memory    where the cache is used up: shelved prefixes are given up, the least recently used first; then the sequence that came last returns
//           its pages, goes back to the head of the queue and is computed again later. New ones begin only while what runs has room
// Exact     a request's tokens depend on the request alone: not on company, threads, pass_tokens, shelf, speculation, or memory
// Errors    make: invalid_argument (options out of range). submit: as check_request, and those of the sampler
// Threads   submit and cancel from any thread, also from events; all else by one thread, in which the events come
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "engine/int_model.h"
#include "serve/pass.h"
#include "serve/prefix_shelf.h"
#include "serve/prompt_lookup.h"
#include "serve/request.h"
#include "serve/sequence.h"
#include "sys/thread_pool.h"
#include "text/tokenizer.h"

namespace quernel::serve {

inline constexpr std::int64_t kMaxSequences = 64;

struct SchedulerOptions {
  std::int64_t max_sequences = kMaxSequences;  // that run at once, 1 to 64; others wait
  std::int64_t pass_tokens = 512;              // 1 to 512
  std::int64_t shelf_size = 16;                // ended sequences that are kept; 0: none
  LookupOptions lookup{};                      // speculation: off while max_draft is 0
  std::int64_t verify_rows =
      16;  // decoding and draft tokens of a pass: with more rows, products take time of their own
};

// Since the beginning.
struct SchedulerStats {
  std::int64_t passes = 0;
  std::int64_t read_tokens = 0;    // of prompts, and again of pre-empted sequences
  std::int64_t shared_tokens = 0;  // found in caches of others instead
  std::int64_t new_tokens = 0;
  std::int64_t drafted = 0;
  std::int64_t accepted = 0;
  std::int64_t preemptions = 0;
};

class Scheduler {
 public:
  // All outlive the scheduler; tokenizer may be null: events have no text then. One scheduler a model: what a second one keeps on its shelf
  // would never be given up for the first.
  static Result<std::unique_ptr<Scheduler>> make(engine::IntModel& model, sys::ThreadPool& pool,
                                                 const text::Tokenizer* tokenizer, const SchedulerOptions& options);

  Result<RequestId> submit(Request request);
  // From the next step on; its end is an event. Ids that ended are passed over.
  void cancel(RequestId id);

  // One pass; whether anything is left to do.
  bool step();
  void run_until_idle();

  // Speculation from the next step on. Errors: invalid_argument.
  Status set_lookup(const LookupOptions& lookup);

  [[nodiscard]] const SchedulerStats& stats() const { return stats_; }
  [[nodiscard]] std::int64_t num_running() const { return static_cast<std::int64_t>(running_.size()); }
  [[nodiscard]] std::int64_t num_waiting() const { return static_cast<std::int64_t>(waiting_.size()); }

 private:
  Scheduler(engine::IntModel& model, sys::ThreadPool& pool, const text::Tokenizer* tokenizer,
            const SchedulerOptions& options);
  void take_in();
  void admit();
  bool has_room(const Sequence& sequence) const;
  engine::PagedCache common_prefix(const Sequence& sequence);
  void plan();
  void add_part(Sequence& sequence, std::int64_t num_tokens);
  void add_drafts();
  Status make_room(Sequence& sequence, std::int64_t& num_tokens);
  void preempt_youngest();
  void finish_pass();
  void retire();

  engine::IntModel& model_;
  sys::ThreadPool& pool_;
  const text::Tokenizer* tokenizer_;
  SchedulerOptions options_;
  PrefixShelf shelf_;

  std::mutex mutex_;  // of the next three
  RequestId last_id_ = 0;
  std::vector<std::unique_ptr<Sequence>> submitted_;
  std::vector<RequestId> cancelled_;

  std::deque<std::unique_ptr<Sequence>> waiting_;  // both by age, the oldest first; who waits is younger than who runs
  std::vector<std::unique_ptr<Sequence>> running_;
  Pass pass_;
  SchedulerStats stats_;
};

}  // namespace quernel::serve
