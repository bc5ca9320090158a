#include "serve/sequence.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/checked.h"

namespace quernel::serve {

using engine::kPageTokens;

Result<Sequence> Sequence::make(RequestId id, Request request, engine::PagedCache cache, std::int64_t limit,
                                const text::Tokenizer* tokenizer) {
  QUERNEL_TRY(runtime::Sampler sampler, runtime::Sampler::make(request.sampler));
  return Sequence(id, std::move(request), std::move(cache), limit, tokenizer, std::move(sampler));
}

Sequence::Sequence(RequestId id, Request request, engine::PagedCache cache, std::int64_t limit,
                   const text::Tokenizer* tokenizer, runtime::Sampler sampler)
    : id_(id),
      request_(std::move(request)),
      cache_(std::move(cache)),
      limit_(limit),
      sampler_(std::move(sampler)),
      stop_(request_.stop_texts),
      tokens_(std::move(request_.prompt)) {
  if (tokenizer != nullptr) decoder_.emplace(*tokenizer);
  usage_.prompt_tokens = static_cast<std::int64_t>(tokens_.size());
  tokens_.reserve(tokens_.size() + static_cast<std::size_t>(request_.max_tokens));
}

void Sequence::share(engine::PagedCache cache) {
  cache_ = std::move(cache);
  if (usage_.new_tokens == 0 && usage_.preemptions == 0) usage_.shared_tokens = cache_.length();
}

void Sequence::preempt(engine::PagedCache empty) {
  cache_ = std::move(empty);
  draft_.clear();
  ++usage_.preemptions;
}

void Sequence::make_slots() {
  if (num_free() > 0) return;
  QUERNEL_CHECK(request_.drop_oldest, "a cache of {} tokens is full", limit_);
  cache_.drop(ceil_div(request_.keep_tokens, kPageTokens), 1);
  // One that was pre-empted drops again what it has told already.
  if (cache_.dropped() <= usage_.dropped_tokens) return;
  usage_.dropped_tokens = cache_.dropped();
  if (request_.on_event) request_.on_event({.request = id_, .dropped_tokens = kPageTokens});
}

std::span<const std::int32_t> Sequence::draft(const LookupOptions& options, std::int64_t most) {
  QUERNEL_CHECK(decodes(), "a draft behind {} missing tokens", num_missing());
  const std::int64_t length = cache_.length() + 1;
  // The token behind the draft is sampled as well.
  most = std::min({most, draft_limit_, request_.max_tokens - usage_.new_tokens - 1, num_free() - 1});
  // A page of 4 bits that is full cannot be opened again: no draft token may fill one.
  if (cache_.pool().kv_bits() == 4) most = std::min(most, kPageTokens - 1 - length % kPageTokens);
  draft_ = most > 0 ? look_up(tokens_, options, most) : std::vector<std::int32_t>();
  return draft_;
}

// choose(row, context): the token of a row.
template <typename Choose>
void Sequence::sample_rows(std::size_t num_rows, const Choose& choose) {
  QUERNEL_CHECK(num_rows == draft_.size() + 1, "{} rows of logits for a draft of {}", num_rows, draft_.size());
  sampled_.clear();
  std::vector<std::int32_t>& context = tokens_;  // grown for each row, then cut back
  const std::size_t length = context.size();
  for (std::size_t row = 0; row < num_rows; ++row) {
    sampled_.push_back(choose(row, std::span<const std::int32_t>(context)));
    if (row + 1 == num_rows || sampled_.back() != draft_[row]) break;
    context.push_back(sampled_.back());
  }
  context.resize(length);
}

void Sequence::sample(ConstMatrixView logits) {
  sample_rows(static_cast<std::size_t>(logits.rows), [&](std::size_t row, std::span<const std::int32_t> context) {
    return sampler_.sample(logits.row(static_cast<std::int64_t>(row)), context);
  });
}

void Sequence::sample_top(std::span<const runtime::TopTokens> rows) {
  sample_rows(rows.size(), [&](std::size_t row, std::span<const std::int32_t> context) {
    return sampler_.sample_top(rows[row].best(), context);
  });
}

// What a guess is worth shows in the last one: twice as long where all came true, else one more than did.
void Sequence::learn(std::int64_t num_right) {
  const auto size = static_cast<std::int64_t>(draft_.size());
  if (size == 0) return;
  usage_.drafted += size;
  usage_.accepted += num_right;
  draft_limit_ = num_right == size ? std::max(draft_limit_, 2 * size) : num_right + 1;
}

void Sequence::deliver() {
  const std::int64_t before = cache_.length() - static_cast<std::int64_t>(draft_.size());
  learn(static_cast<std::int64_t>(sampled_.size()) - 1);
  std::int64_t kept = 0;  // draft tokens that are part of the sequence now
  if (request_.max_tokens == 0) end(EndReason::length);
  for (std::size_t i = 0; i < sampled_.size() && !ended(); ++i) {
    const bool foreseen = i + 1 < sampled_.size();
    const bool is_text = !is_stop(sampled_[i]);
    put(sampled_[i]);
    if (foreseen && is_text) ++kept;
  }
  const Status cut = cache_.cut(before + kept);
  QUERNEL_CHECK(cut.ok(), "a draft filled a page");
  draft_.clear();
  sampled_.clear();
}

bool Sequence::is_stop(std::int32_t token) const {
  return std::find(request_.stop_ids.begin(), request_.stop_ids.end(), token) != request_.stop_ids.end();
}

void Sequence::put(std::int32_t token) {
  if (is_stop(token)) return end(EndReason::stop_token);
  tokens_.push_back(token);
  ++usage_.new_tokens;
  Event event{.request = id_, .token = token};
  if (decoder_) event.text = stop_.push(decoder_->push(token));
  const bool goes_on = !request_.on_event || request_.on_event(event);
  if (stop_.stopped()) {
    end(EndReason::stop_text);
  } else if (!goes_on) {
    end(EndReason::cancelled);
  } else if (usage_.new_tokens == request_.max_tokens) {
    end(EndReason::length);
  }
}

void Sequence::end(EndReason reason, const std::optional<Error>& error) {
  Event event{.request = id_, .error = error};
  if (decoder_) {
    event.text = stop_.push(decoder_->finish());
    event.text += stop_.finish();
    if (stop_.stopped() && reason != EndReason::failed && reason != EndReason::cancelled) reason = EndReason::stop_text;
  }
  end_ = reason;
  event.end = reason;
  event.usage = usage_;
  if (request_.on_event) request_.on_event(event);
}

}  // namespace quernel::serve
