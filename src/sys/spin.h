// Waiting for what is about to happen.
#pragma once

namespace quernel::sys {

// Waits a little: calls follow each other within microseconds, and waking a sleeper takes tens of them. Whoever waits longer should
// sleep; others may need the core. Returns whether the condition holds.
template <class Condition>
bool spin_until(const Condition& condition) {
  constexpr int kSpins = 200;
  for (int spin = 0; spin < kSpins; ++spin) {
    if (condition()) return true;
    for (int pause = 0; pause < 8; ++pause) {
#if defined(__x86_64__)
      __builtin_ia32_pause();
#elif defined(__aarch64__)
      __asm__ volatile("yield");
#endif
    }
  }
  return condition();
}

}  // namespace quernel::sys
