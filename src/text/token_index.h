// Token text -> id.
//
// Cost     8 bytes a slot, at most half full
// Threads  const functions from any thread
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quernel::text {

class TokenIndex {
 public:
  // For `count` tokens at most; the texts are read from `tokens` by id, which outlives the index.
  TokenIndex(const std::vector<std::string>& tokens, std::size_t count);

  // False if a token with this text is there already.
  bool insert(std::int32_t id);
  [[nodiscard]] std::optional<std::int32_t> find(std::string_view text) const;

 private:
  struct Slot {
    std::uint32_t tag = 0;  // upper half of the hash: most other texts are passed over without a look at them
    std::int32_t id = -1;
  };
  [[nodiscard]] std::size_t probe(std::string_view text, std::uint64_t hash) const;  // its slot, or the free one for it

  const std::vector<std::string>* tokens_;
  std::vector<Slot> slots_;
  std::size_t mask_ = 0;
};

}  // namespace quernel::text
