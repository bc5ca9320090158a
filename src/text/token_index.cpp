#include "text/token_index.h"

#include <bit>

#include "text/hashing.h"

namespace quernel::text {

TokenIndex::TokenIndex(const std::vector<std::string>& tokens, std::size_t count)
    : tokens_(&tokens), slots_(std::bit_ceil(count * 2 + 16)), mask_(slots_.size() - 1) {}

std::size_t TokenIndex::probe(std::string_view text, std::uint64_t hash) const {
  const auto tag = static_cast<std::uint32_t>(hash >> 32U);
  std::size_t slot = static_cast<std::size_t>(hash) & mask_;
  while (slots_[slot].id >= 0) {
    const Slot& here = slots_[slot];
    if (here.tag == tag && (*tokens_)[static_cast<std::size_t>(here.id)] == text) break;
    slot = (slot + 1) & mask_;
  }
  return slot;
}

bool TokenIndex::insert(std::int32_t id) {
  const std::string& text = (*tokens_)[static_cast<std::size_t>(id)];
  const std::uint64_t hash = hash_bytes(text);
  Slot& slot = slots_[probe(text, hash)];
  if (slot.id >= 0) return false;
  slot = {static_cast<std::uint32_t>(hash >> 32U), id};
  return true;
}

std::optional<std::int32_t> TokenIndex::find(std::string_view text) const {
  const Slot& slot = slots_[probe(text, hash_bytes(text))];
  if (slot.id < 0) return std::nullopt;
  return slot.id;
}

}  // namespace quernel::text
