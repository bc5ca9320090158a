#include "engine/crew.h"

#include <algorithm>

namespace quernel::engine {
namespace {

constexpr std::int64_t kTrial = 8;       // passes that a size is judged by
constexpr double kSuspicious = 1.5;      // times the best pace: less happens by itself where memory is shared
constexpr double kRetrySeconds = 0.5;    // after which a smaller crew tries the full one again
constexpr double kForget = 1.0 / 4096;   // the best pace is forgotten so slowly: other work, other clocks

}  // namespace

void Crew::Pace::add(double pace) {
  ++passes;
  const double weight = std::max(1.0 / static_cast<double>(passes), 1.0 / static_cast<double>(kTrial));
  mean += weight * (pace - mean);
}

void Crew::begin(int size) {
  other_ = now_.mean;
  size_ = size;
  now_ = {};
  since_ = 0.0;
}

void Crew::ran(double seconds, double work) {
  if (most_ == 1 || work <= 0.0) return;
  now_.add(seconds / work);
  since_ += seconds;
  if (now_.passes < kTrial) return;
  if (size_ == most_) {
    best_ = best_ == 0.0 ? now_.mean : std::min(best_ * (1.0 + kForget), now_.mean);
    const bool is_slow = now_.mean > kSuspicious * best_;
    // After a trial that the full crew lost it waits before it tries again.
    const bool may_try = other_ == 0.0 || now_.mean > other_ || since_ > kRetrySeconds;
    if (is_slow && may_try) begin(most_ - 1);
  } else if (now_.mean > other_ || since_ > kRetrySeconds) {
    begin(most_);
  }
}

}  // namespace quernel::engine
