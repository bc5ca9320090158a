// The k best tokens by their logits: the larger logit first, of equals the lower id. NaN and -infinity are nobody's best.
//
// Threads  a value; one thread at a time
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace quernel::runtime {

struct TopToken {
  float logit;
  std::int32_t id;
  bool operator==(const TopToken&) const = default;
};
inline bool is_better(const TopToken& a, const TopToken& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

class TopTokens {
 public:
  void begin(std::size_t most) {
    most_ = most;
    best_.clear();
  }
  void offer(const TopToken& token) {
    if (!(token.logit > -__builtin_inff()) || (best_.size() == most_ && !is_better(token, best_.back()))) return;
    if (best_.size() == most_) best_.pop_back();
    best_.insert(std::upper_bound(best_.begin(), best_.end(), token, is_better), token);
  }
  // Logits of the ids from first_id on.
  void offer(std::span<const float> logits, std::int64_t first_id) {
    const float floor = best_.size() == most_ ? best_.back().logit : -__builtin_inff();
    float largest = -__builtin_inff();
    for (const float logit : logits) largest = logit > largest ? logit : largest;
    if (largest < floor) return;  // most stretches end here
    for (std::size_t i = 0; i < logits.size(); ++i)
      if (logits[i] >= floor) offer({logits[i], static_cast<std::int32_t>(first_id + static_cast<std::int64_t>(i))});
  }
  [[nodiscard]] std::span<const TopToken> best() const { return best_; }

 private:
  std::size_t most_ = 0;
  std::vector<TopToken> best_;
};

}  // namespace quernel::runtime
