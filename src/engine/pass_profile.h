// Where the time of passes goes, as worker 0 sees it: each phase with the wait at its end.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>

namespace quernel::engine {

enum class Phase { embed, norms, qkv, heads, attention, attention_codes, out, gate_up, gate, down, logits };
inline constexpr std::array<const char*, 11> kPhaseNames = {
    "embedding",      "norms, codes", "q k v",  "RoPE, cache", "attention", "attention codes",
    "output product", "gate, up",     "SwiGLU", "down",        "head"};

class PassProfile {
 public:
  void start() { last_ = Clock::now(); }
  // The time since the last call belongs to this phase.
  void end(Phase phase) {
    const Clock::time_point now = Clock::now();
    seconds_[static_cast<std::size_t>(phase)] += std::chrono::duration<double>(now - last_).count();
    last_ = now;
  }
  [[nodiscard]] const std::array<double, kPhaseNames.size()>& seconds() const { return seconds_; }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point last_;
  std::array<double, kPhaseNames.size()> seconds_{};
};

}  // namespace quernel::engine
