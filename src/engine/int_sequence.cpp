#include "engine/int_sequence.h"

#include <algorithm>

namespace quernel::engine {
namespace {

constexpr std::int64_t kPassTokens = 512;

}  // namespace

IntSequence::IntSequence(IntModel& model)
    : model_(model), cache_(model.make_cache()), hidden_(kPassTokens, model.config().hidden_size) {}

Status IntSequence::append(std::span<const std::int32_t> tokens, std::span<float> logits) {
  const auto size = static_cast<std::int64_t>(tokens.size());
  std::int64_t rows = 0;
  for (std::int64_t first = 0; first < size; first += rows) {
    rows = std::min(kPassTokens, size - first);
    const auto part = tokens.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(rows));
    const Span span{&cache_, rows};
    QUERNEL_TRY_STATUS(model_.forward(part, {&span, 1}, hidden_.view().row_block(0, rows)));
    tokens_.insert(tokens_.end(), part.begin(), part.end());
  }
  model_.logits(hidden_.view().row_block(rows - 1, 1), {logits.data(), 1, static_cast<std::int64_t>(logits.size())});
  return ok_status();
}

Result<std::int64_t> IntSequence::keep_common(std::span<const std::int32_t> tokens) {
  const auto most = std::min<std::size_t>(tokens_.size(), tokens.empty() ? 0 : tokens.size() - 1);
  const auto end =
      std::mismatch(tokens_.begin(), tokens_.begin() + static_cast<std::ptrdiff_t>(most), tokens.begin()).first;
  auto common = static_cast<std::int64_t>(end - tokens_.begin());
  // A page of 4 bits stays rounded where it is cut: what follows would not be what a fresh sequence computes.
  if (model_.options().kv_bits == 4 && common < cache_.length()) common = common / kPageTokens * kPageTokens;
  QUERNEL_TRY_STATUS(cache_.cut(common));
  tokens_.resize(static_cast<std::size_t>(common));
  return common;
}

}  // namespace quernel::engine
