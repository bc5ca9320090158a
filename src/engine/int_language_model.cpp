#include "engine/int_language_model.h"

#include <fmt/format.h>

#include <vector>

#include "base/check.h"
#include "runtime/rope.h"

namespace quernel::engine {
namespace {

constexpr std::int64_t kGroupTokens = 512;  // what one pass of the model takes

Status check_length(std::int64_t length) {
  constexpr std::int64_t kMost = runtime::RopeTable::kMaxPositions;
  QUERNEL_CHECK(length >= 0, "a sequence of {} tokens", length);
  if (length <= kMost) return ok_status();
  return Error(Fault::invalid_argument, "a sequence is longer than positions go")
      .expect(fmt::format("at most {} tokens", kMost), fmt::format("{}", length));
}

// How many of the sequences fill a pass together, at least one.
std::size_t size_of_group(std::span<const std::int64_t> lengths) {
  std::size_t count = 1;
  for (std::int64_t rows = lengths[0]; count < lengths.size(); ++count) {
    rows += lengths[count];
    if (rows > kGroupTokens) break;
  }
  return count;
}

Status run_group(IntModel& model, std::span<const std::int32_t> tokens, std::span<const std::int64_t> lengths,
                 MatrixView hidden) {
  std::vector<PagedCache> caches;
  caches.reserve(lengths.size());  // spans point at them
  std::vector<Span> spans;
  for (const std::int64_t length : lengths) spans.push_back({&caches.emplace_back(model.make_cache()), length});
  return model.forward(tokens, spans, hidden);
}

}  // namespace

Status IntLanguageModel::run_sequences(std::span<const std::int32_t> tokens, std::span<const std::int64_t> lengths,
                                       MatrixView hidden) const {
  std::int64_t total = 0;
  for (const std::int64_t length : lengths) {
    QUERNEL_TRY_STATUS(check_length(length));
    total += length;
  }
  QUERNEL_CHECK(total == static_cast<std::int64_t>(tokens.size()) && total == hidden.rows,
                "{} tokens in sequences of {}, {} rows", tokens.size(), total, hidden.rows);
  std::int64_t first = 0;
  while (!lengths.empty()) {
    const auto group = lengths.first(size_of_group(lengths));
    std::int64_t rows = 0;
    for (const std::int64_t length : group) rows += length;
    const auto part = tokens.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(rows));
    QUERNEL_TRY_STATUS(run_group(*model_, part, group, hidden.row_block(first, rows)));
    first += rows;
    lengths = lengths.subspan(group.size());
  }
  return ok_status();
}

}  // namespace quernel::engine
