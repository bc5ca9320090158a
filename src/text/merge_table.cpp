#include "text/merge_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <tuple>
#include <unordered_map>

#include "text/hashing.h"
#include "text/utf8.h"

namespace quernel::text {
namespace {

// A token for a message: short, and safe to print.
std::string shown(std::string_view token) {
  const std::string text = repair_utf8(token.substr(0, 40));
  return token.size() > 40 ? text + "..." : text;
}

// Position by score, from the best; equal scores have equal positions.
std::vector<std::uint32_t> ranks_of(const std::vector<float>& scores) {
  std::vector<std::uint32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(),
            [&](std::uint32_t a, std::uint32_t b) { return scores[a] != scores[b] ? scores[a] > scores[b] : a < b; });
  std::vector<std::uint32_t> ranks(scores.size());
  std::uint32_t rank = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const bool same = i > 0 && scores[order[i]] == scores[order[i - 1]];
    if (!same) rank = static_cast<std::uint32_t>(i);
    ranks[order[i]] = rank;
  }
  return ranks;
}

}  // namespace

MergeTable::MergeTable(std::size_t count) : slots_(std::bit_ceil(count * 2 + 16)), mask_(slots_.size() - 1) {}

std::size_t MergeTable::place(std::uint64_t key) const { return static_cast<std::size_t>(hash_number(key)) & mask_; }

void MergeTable::set(std::int32_t left, std::int32_t right, Merge merge) {
  const std::uint64_t key = key_of(left, right);
  std::size_t slot = place(key);
  while (slots_[slot].merge.result >= 0 && slots_[slot].key != key) slot = (slot + 1) & mask_;
  if (slots_[slot].merge.result < 0) ++size_;
  slots_[slot] = {key, merge};
}

Result<MergeTable> MergeTable::from_merges(const std::vector<std::pair<std::string, std::string>>& merges,
                                           const TokenIndex& index) {
  MergeTable table(merges.size());
  std::string joined;
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [left, right] = merges[rank];
    joined.assign(left).append(right);
    const auto left_id = index.find(left);
    const auto right_id = index.find(right);
    const auto result = index.find(joined);
    if (!left_id || !right_id || !result) {
      const std::string& missing = !left_id ? left : !right_id ? right : joined;
      return Error(Fault::corrupt, "a merge names a token that is not in the vocabulary")
          .in_field(fmt::format("merges[{}]", rank))
          .expect("tokens of the vocabulary", fmt::format("'{}'", shown(missing)));
    }
    table.set(*left_id, *right_id, {static_cast<std::uint32_t>(rank), *result});
  }
  return table;
}

Result<MergeTable> MergeTable::from_scores(const std::vector<std::string>& tokens, const std::vector<float>& scores,
                                           const TokenIndex& index, std::vector<std::string>& inner) {
  for (std::size_t id = 0; id < scores.size(); ++id) {
    if (std::isnan(scores[id])) {
      return Error(Fault::corrupt, "a score is not a number").in_field(fmt::format("scores[{}]", id));
    }
  }
  const std::vector<std::uint32_t> ranks = ranks_of(scores);
  std::unordered_map<std::string_view, std::int32_t> inner_ids;
  const auto id_of = [&](std::string_view part, bool one_char) -> std::int32_t {
    if (const auto id = index.find(part); id) return *id;
    if (!one_char) return -1;
    const auto next = static_cast<std::int32_t>(tokens.size() + inner_ids.size());
    return inner_ids.try_emplace(part, next).first->second;
  };
  std::vector<std::tuple<std::int32_t, std::int32_t, Merge>> found;
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    const std::string_view token = tokens[id];
    // A text that two ids share belongs to the one that look-ups give.
    if (token.empty() || index.find(token) != static_cast<std::int32_t>(id)) continue;
    const char* begin = token.data();
    const char* end = begin + token.size();
    const char* last = end;  // where the last character begins
    for (const char* at = begin; at < end; at += decode_utf8(at, end).length) last = at;
    const std::size_t first_length = decode_utf8(begin, end).length;
    for (const char* at = begin + first_length; at < end; at += decode_utf8(at, end).length) {
      const auto cut = static_cast<std::size_t>(at - begin);
      const std::int32_t left = id_of(token.substr(0, cut), cut == first_length);
      const std::int32_t right = id_of(token.substr(cut), at == last);
      if (left >= 0 && right >= 0) found.emplace_back(left, right, Merge{ranks[id], static_cast<std::int32_t>(id)});
    }
  }
  MergeTable table(found.size());
  for (const auto& [left, right, merge] : found) table.set(left, right, merge);
  inner.resize(inner_ids.size());
  for (const auto& [text, id] : inner_ids) inner[static_cast<std::size_t>(id) - tokens.size()] = std::string(text);
  return table;
}

}  // namespace quernel::text
