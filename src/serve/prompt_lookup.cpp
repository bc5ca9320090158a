#include "serve/prompt_lookup.h"

#include <fmt/format.h>

#include <algorithm>

namespace quernel::serve {

Status check_lookup(const LookupOptions& options) {
  if (options.max_draft >= 0 && options.max_draft <= 64 && options.min_ngram >= 1 &&
      options.max_ngram >= options.min_ngram)
    return ok_status();
  return Error(Fault::invalid_argument, "speculation that cannot be")
      .expect("drafts of 0 to 64 tokens, 1 <= min_ngram <= max_ngram",
              fmt::format("{}, {}, {}", options.max_draft, options.min_ngram, options.max_ngram));
}

std::vector<std::int32_t> look_up(std::span<const std::int32_t> tokens, const LookupOptions& options,
                                  std::int64_t most) {
  const auto size = static_cast<std::int64_t>(tokens.size());
  const auto at = [&](std::int64_t i) { return tokens[static_cast<std::size_t>(i)]; };
  std::int64_t longest = options.min_ngram - 1;
  std::int64_t next = 0;  // behind the match
  for (std::int64_t end = size - 1; end > longest && longest < options.max_ngram; --end) {
    std::int64_t length = 0;
    while (length < std::min(options.max_ngram, end) && at(end - 1 - length) == at(size - 1 - length)) ++length;
    if (length > longest) {
      longest = length;
      next = end;
    }
  }
  std::vector<std::int32_t> draft;
  if (next == 0) return draft;
  const std::int64_t count = std::min(most, options.max_draft);
  for (std::int64_t i = 0; i < count; ++i)
    draft.push_back(next + i < size ? at(next + i) : draft[static_cast<std::size_t>(next + i - size)]);
  return draft;
}

}  // namespace quernel::serve
