#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace quernel::detail {

// The only place below the command line that prints and aborts: continuing after a broken invariant could write wrong
// weights.
void check_failed(const char* file, int line, const char* condition, const std::string& message) {
  std::fprintf(stderr, "quernel: internal error at %s:%d: %s%s%s\n", file, line, condition, message.empty() ? "" : ": ",
               message.c_str());
  std::abort();
}

}  // namespace quernel::detail
