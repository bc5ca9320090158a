// A guess at the next tokens from the sequence itself: what followed its last tokens where they stood before.
//
// Exact    the longest earlier match of the last max_ngram to min_ngram tokens, the latest of equals; a guess that reaches the end of the text
//          goes on with itself, as repetition does
// Cost     linear in the text
// Threads  pure
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace quernel::serve {

struct LookupOptions {
  std::int64_t max_draft = 0;  // tokens a guess has at most; 0: none
  std::int64_t max_ngram = 8;  // last tokens that are compared
  std::int64_t min_ngram = 2;  // as many must agree
};

// Errors: invalid_argument.
Status check_lookup(const LookupOptions& options);

// At most `most` and options.max_draft tokens; empty where nothing agrees.
std::vector<std::int32_t> look_up(std::span<const std::int32_t> tokens, const LookupOptions& options,
                                  std::int64_t most);

}  // namespace quernel::serve
