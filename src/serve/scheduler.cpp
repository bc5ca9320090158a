#include "serve/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace quernel::serve {
namespace {

Status check_options(const SchedulerOptions& o) {
  const auto refuse = [](const char* field, std::int64_t value, const char* expected) -> Status {
    return Error(Fault::invalid_argument, "a scheduler that cannot be")
        .in_field(field)
        .expect(expected, fmt::format("{}", value));
  };
  if (o.max_sequences < 1 || o.max_sequences > kMaxSequences)
    return refuse("max_sequences", o.max_sequences, "1 to 64");
  if (o.pass_tokens < 1 || o.pass_tokens > kMaxPassTokens) return refuse("pass_tokens", o.pass_tokens, "1 to 512");
  if (o.shelf_size < 0) return refuse("shelf_size", o.shelf_size, "0 or more");
  if (o.verify_rows < 1) return refuse("verify_rows", o.verify_rows, "1 or more");
  return check_lookup(o.lookup);
}

}  // namespace

Result<std::unique_ptr<Scheduler>> Scheduler::make(engine::IntModel& model, sys::ThreadPool& pool,
                                                   const text::Tokenizer* tokenizer, const SchedulerOptions& options) {
  QUERNEL_TRY_STATUS(check_options(options));
  return std::unique_ptr<Scheduler>(new Scheduler(model, pool, tokenizer, options));
}

Scheduler::Scheduler(engine::IntModel& model, sys::ThreadPool& pool, const text::Tokenizer* tokenizer,
                     const SchedulerOptions& options)
    : model_(model), pool_(pool), tokenizer_(tokenizer), options_(options), shelf_(options.shelf_size), pass_(model) {}

Result<RequestId> Scheduler::submit(Request request) {
  QUERNEL_TRY_STATUS(check_request(request, model_.config(), model_.pages(), tokenizer_ != nullptr));
  const std::lock_guard lock(mutex_);
  QUERNEL_TRY(Sequence sequence, Sequence::make(last_id_ + 1, std::move(request), model_.make_cache(),
                                                cache_limit(model_.config(), model_.pages()), tokenizer_));
  submitted_.push_back(std::make_unique<Sequence>(std::move(sequence)));
  return ++last_id_;
}

void Scheduler::cancel(RequestId id) {
  const std::lock_guard lock(mutex_);
  cancelled_.push_back(id);
}

void Scheduler::take_in() {
  std::vector<std::unique_ptr<Sequence>> submitted;
  std::vector<RequestId> cancelled;
  {
    const std::lock_guard lock(mutex_);
    submitted.swap(submitted_);
    cancelled.swap(cancelled_);
  }
  std::move(submitted.begin(), submitted.end(), std::back_inserter(waiting_));
  const auto is_cancelled = [&](const auto& sequence) {
    return std::find(cancelled.begin(), cancelled.end(), sequence->id()) != cancelled.end();
  };
  for (auto& sequence : running_)
    if (is_cancelled(sequence)) sequence->end(EndReason::cancelled);
  for (auto& sequence : waiting_)
    if (is_cancelled(sequence)) sequence->end(EndReason::cancelled);
  std::erase_if(waiting_, [](const auto& sequence) { return sequence->ended(); });
  retire();
}

// The cache of whoever runs or ran with the longest common beginning, cut to it.
engine::PagedCache Scheduler::common_prefix(const Sequence& sequence) {
  const engine::PagedCache* from = nullptr;
  std::int64_t shared = 0;
  for (const auto& other : running_) {
    const std::int64_t common = shared_tokens(other->cache(), other->cached(), sequence.tokens());
    if (common <= shared) continue;
    shared = common;
    from = &other->cache();
  }
  if (const PrefixShelf::Match match = shelf_.find(sequence.tokens(), shared); match.cache != nullptr) {
    shared = match.shared;
    from = match.cache;
  }
  if (from == nullptr) return model_.make_cache();
  engine::PagedCache twin = from->fork();
  const Status cut = twin.cut(shared);
  QUERNEL_CHECK(cut.ok(), "a shared prefix ends inside a rounded page");
  return twin;
}

// Whether all that run and this one can go on for a page. An estimate: what it misses, make_room() mends.
bool Scheduler::has_room(const Sequence& sequence) const {
  const engine::PagePool& pages = model_.pages();
  const auto missing_bytes = [&](const Sequence& of) {
    const std::int64_t held = of.cache().length();
    const std::uint64_t wanted = pages.bytes_read(of.num_slots()) + pages.page_bytes(pages.open_bits());
    return wanted - (held > 0 ? pages.bytes_read(held - 1) : 0);
  };
  std::uint64_t needed = missing_bytes(sequence);
  for (const auto& other : running_) needed += missing_bytes(*other);
  return needed <= pages.free_bytes();
}

void Scheduler::admit() {
  while (!waiting_.empty() && num_running() < options_.max_sequences) {
    Sequence& next = *waiting_.front();
    next.share(common_prefix(next));
    while (!running_.empty() && !has_room(next)) {
      if (shelf_.give_up_oldest()) continue;
      next.share(model_.make_cache());
      return;
    }
    stats_.shared_tokens += next.cache().length();
    running_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
}

void Scheduler::preempt_youngest() {
  Sequence* youngest = running_.back().get();
  pass_.remove(*youngest);
  youngest->preempt(model_.make_cache());
  waiting_.push_front(std::move(running_.back()));
  running_.pop_back();
  ++stats_.preemptions;
}

// Pages for the tokens, or for fewer where the sequence is alone. On failure it is pre-empted, or has failed.
Status Scheduler::make_room(Sequence& sequence, std::int64_t& num_tokens) {
  for (;;) {
    const Status reserved = sequence.cache().reserve(num_tokens);
    if (reserved.ok()) return reserved;
    if (shelf_.give_up_oldest()) continue;
    const bool is_alone = running_.size() == 1;
    const bool is_youngest = running_.back().get() == &sequence;
    if (!is_alone) {
      preempt_youngest();
      if (is_youngest) return reserved;
    } else if (num_tokens > engine::kPageTokens) {
      num_tokens = engine::kPageTokens;
    } else {
      sequence.end(EndReason::failed, reserved.error());
      return reserved;
    }
  }
}

void Scheduler::add_part(Sequence& sequence, std::int64_t num_tokens) {
  if (make_room(sequence, num_tokens).ok()) pass_.add(sequence, num_tokens);
}

void Scheduler::plan() {
  pass_.clear();
  // Who is pre-empted on the way is the last of running_: what comes before stays in place.
  for (std::size_t i = 0; i < running_.size(); ++i)
    if (running_[i]->decodes()) {
      running_[i]->make_slots();
      add_part(*running_[i], 1);
    }
  std::int64_t left = std::max<std::int64_t>(1, options_.pass_tokens - pass_.num_tokens());
  for (std::size_t i = 0; i < running_.size() && left > 0; ++i) {
    if (running_[i]->decodes()) continue;
    running_[i]->make_slots();
    const std::int64_t count = std::min({left, running_[i]->num_missing(), running_[i]->num_free()});
    add_part(*running_[i], count);
    left -= count;
  }
  if (options_.lookup.max_draft > 0) add_drafts();
}

void Scheduler::add_drafts() {
  std::int64_t left = std::min(options_.verify_rows - pass_.num_decoding(), options_.pass_tokens - pass_.num_tokens());
  for (Pass::Part& part : pass_.parts()) {
    Sequence& sequence = *part.sequence;
    if (left <= 0 || !sequence.decodes()) continue;
    part.draft = sequence.draft(options_.lookup, left);
    const auto size = static_cast<std::int64_t>(part.draft.size());
    if (size > 0 && !sequence.cache().reserve(1 + size).ok()) {
      // A guess is not worth anyone's pages; the token itself still has its own.
      sequence.drop_draft();
      part.draft = {};
      const Status reserved = sequence.cache().reserve(1);
      QUERNEL_CHECK(reserved.ok(), "pages that were just given back are gone");
      continue;
    }
    part.num_logits += size;
    left -= size;
  }
}

// Tokens are chosen side by side, told in order.
void Scheduler::finish_pass() {
  ++stats_.passes;
  pass_.choose_tokens(pool_);
  for (const Pass::Part& part : pass_.parts()) {
    if (part.reads) stats_.read_tokens += part.num_tokens;
    if (part.num_logits == 0) continue;
    const Usage before = part.sequence->usage();
    part.sequence->deliver();
    const Usage& after = part.sequence->usage();
    stats_.new_tokens += after.new_tokens - before.new_tokens;
    stats_.drafted += after.drafted - before.drafted;
    stats_.accepted += after.accepted - before.accepted;
  }
}

// The ended leave; answers' caches may serve others.
void Scheduler::retire() {
  for (auto& sequence : running_) {
    if (!sequence->answered()) continue;
    const std::span<const std::int32_t> cached = sequence->cached();
    if (!cached.empty()) shelf_.put({cached.begin(), cached.end()}, std::move(sequence->cache()));
  }
  std::erase_if(running_, [](const auto& sequence) { return sequence->ended(); });
}

bool Scheduler::step() {
  take_in();
  admit();
  plan();
  if (!pass_.parts().empty()) {
    const Status passed = pass_.run();
    if (passed.ok()) {
      finish_pass();
    } else {
      for (const Pass::Part& part : pass_.parts()) part.sequence->end(EndReason::failed, passed.error());
    }
  }
  retire();
  const std::lock_guard lock(mutex_);
  return !running_.empty() || !waiting_.empty() || !submitted_.empty();
}

Status Scheduler::set_lookup(const LookupOptions& lookup) {
  QUERNEL_TRY_STATUS(check_lookup(lookup));
  options_.lookup = lookup;
  return ok_status();
}

void Scheduler::run_until_idle() {
  while (step()) {
  }
}

}  // namespace quernel::serve
