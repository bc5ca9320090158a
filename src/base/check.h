// QUERNEL_CHECK: invariants of our own code. A failed check is a bug of ours, never a fault of the input.
//
// Always on, also in release builds: a wrong answer costs more than the branch.
#pragma once

#include <fmt/format.h>

#include <string>

namespace quernel::detail {

[[noreturn]] void check_failed(const char* file, int line, const char* condition, const std::string& message);

inline std::string check_message() { return {}; }
template <class... Args>
std::string check_message(fmt::format_string<Args...> format, Args&&... args) {
  return fmt::format(format, std::forward<Args>(args)...);
}

}  // namespace quernel::detail

#define QUERNEL_CHECK(condition, ...)                                                                                 \
  do {                                                                                                                \
    if (!(condition)) [[unlikely]]                                                                                    \
      ::quernel::detail::check_failed(__FILE__, __LINE__, #condition, ::quernel::detail::check_message(__VA_ARGS__)); \
  } while (false)
