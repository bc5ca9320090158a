#include "serve/pass.h"

#include <algorithm>

namespace quernel::serve {
namespace {

constexpr std::int64_t kMostBest = 128;  // longer lists cost more than a row of logits

}  // namespace

Pass::Pass(engine::IntModel& model) : model_(model), hidden_(kMaxPassTokens, model.config().hidden_size) {}

void Pass::add(Sequence& sequence, std::int64_t num_tokens) {
  const bool reads = !sequence.decodes() || sequence.num_computed() < sequence.usage().prompt_tokens;
  parts_.push_back({&sequence, num_tokens, reads, {}, num_tokens == sequence.num_missing() ? 1 : 0, 0});
}

void Pass::remove(const Sequence& sequence) {
  std::erase_if(parts_, [&](const Part& part) { return part.sequence == &sequence; });
}

std::int64_t Pass::num_tokens() const {
  std::int64_t sum = 0;
  for (const Part& part : parts_) sum += part.num_tokens;
  return sum;
}

std::int64_t Pass::num_decoding() const {
  return std::count_if(parts_.begin(), parts_.end(), [](const Part& part) { return part.sequence->decodes(); });
}

Status Pass::compute_hidden() {
  tokens_.clear();
  std::vector<engine::Span> spans;
  for (const Part& part : parts_) {
    const auto missing = part.sequence->tokens().last(static_cast<std::size_t>(part.sequence->num_missing()));
    tokens_.insert(tokens_.end(), missing.begin(), missing.begin() + part.num_tokens);
    tokens_.insert(tokens_.end(), part.draft.begin(), part.draft.end());
    spans.push_back({&part.sequence->cache(), part.num_tokens + static_cast<std::int64_t>(part.draft.size())});
  }
  return model_.forward(tokens_, spans, hidden_.view().row_block(0, static_cast<std::int64_t>(tokens_.size())));
}

// Logits, or the best of them where that is enough for every sequence.
void Pass::compute_head() {
  std::int64_t num_logits = 0;
  bool few = true;
  num_best_ = 0;
  for (Part& part : parts_) {
    part.first_logit = num_logits;
    num_logits += part.num_logits;
    if (part.num_logits == 0) continue;
    const std::int64_t needed = part.sequence->num_needed();
    few = few && needed > 0 && needed <= kMostBest;
    num_best_ = std::max(num_best_, needed);
  }
  if (num_logits == 0) return;
  if (!few) num_best_ = 0;
  if (num_logits > head_in_.rows()) head_in_ = Matrix(num_logits, model_.config().hidden_size);
  std::int64_t end = 0;
  for (const Part& part : parts_) {
    end += part.num_tokens + static_cast<std::int64_t>(part.draft.size());
    for (std::int64_t r = 0; r < part.num_logits; ++r) {
      const std::span<const float> from = hidden_.row(end - part.num_logits + r);
      std::copy(from.begin(), from.end(), head_in_.row(part.first_logit + r).begin());
    }
  }
  const MatrixView head_in = head_in_.view().row_block(0, num_logits);
  if (num_best_ > 0) {
    best_.resize(static_cast<std::size_t>(num_logits));
    return model_.top_tokens(head_in, num_best_, best_);
  }
  if (num_logits > logits_.rows()) logits_ = Matrix(num_logits, model_.config().vocab_size);
  model_.logits(head_in, logits_.view().row_block(0, num_logits));
}

Status Pass::run() {
  QUERNEL_TRY_STATUS(compute_hidden());
  compute_head();
  return ok_status();
}

void Pass::choose_tokens(sys::ThreadPool& pool) {
  pool.parallel_for(static_cast<std::int64_t>(parts_.size()), [this](std::int64_t i) {
    const Part& part = parts_[static_cast<std::size_t>(i)];
    if (part.num_logits == 0) return;
    if (num_best_ > 0)
      part.sequence->sample_top(std::span(best_).subspan(static_cast<std::size_t>(part.first_logit),
                                                         static_cast<std::size_t>(part.num_logits)));
    else
      part.sequence->sample(logits_.view().row_block(part.first_logit, part.num_logits));
  });
}

}  // namespace quernel::serve
