// Monotonic time for measuring.
#pragma once

#include <chrono>
#include <string>

namespace quernel::sys {

class Stopwatch {
 public:
  Stopwatch() : start_(std::chrono::steady_clock::now()) {}
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_;
};

std::string utc_timestamp();                  // "2026-11-22T05:11:32Z"
std::string format_duration(double seconds);  // "7.3 s", "2 min 05 s", "1 h 12 min"

}  // namespace quernel::sys
