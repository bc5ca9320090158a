#include "engine/crew.h"

#include <algorithm>

namespace quernel::engine {
namespace {

constexpr std::int64_t kTrial = 8;   // passes that a size is judged by at first
constexpr double kMemory = 64.0;     // passes that the mean remembers
constexpr double kSuspicious = 2.5;  // times the best: a process that holds a core costs 5, memory that others use 2
constexpr double kShortPatience = 0.05;  // seconds; doubled while the full crew loses
constexpr double kLongPatience = 1.0;
constexpr double kForget = 1.0 / 4096;  // the best is forgotten so slowly: other work, other clocks

}  // namespace

void Crew::begin(int size) {
  other_ = mean_;
  size_ = size;
  mean_ = 0.0;
  passes_ = 0;
  since_ = 0.0;
}

void Crew::ran(double seconds, double work) {
  if (most_ == 1 || work <= 0.0) return;
  ++passes_;
  since_ += seconds;
  mean_ += (seconds / work - mean_) / std::min(static_cast<double>(passes_), kMemory);
  if (passes_ < kTrial) return;
  if (size_ < most_) {
    if (since_ > patience_) begin(most_);
    return;
  }
  best_ = best_ == 0.0 ? mean_ : std::min(best_ * (1.0 + kForget), mean_);
  if (mean_ <= kSuspicious * best_) {
    patience_ = kShortPatience;
  } else if (passes_ > kTrial || mean_ > other_) {
    patience_ = std::min(2.0 * std::max(patience_, kShortPatience), kLongPatience);
    begin(most_ - 1);
  }
}

}  // namespace quernel::engine
