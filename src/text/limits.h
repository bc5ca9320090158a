// What a vocabulary may be at most. Largest known: 262,145 tokens, 580,604 merges, tokens of 512 bytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quernel::text {

constexpr std::size_t kMaxTokens = std::size_t{1} << 22;
constexpr std::size_t kMaxMerges = std::size_t{1} << 23;
constexpr std::size_t kMaxTokenBytes = std::size_t{1} << 14;
constexpr std::size_t kMaxAddedTokens = std::size_t{1} << 17;
// The search for added tokens costs at most text x this.
constexpr std::size_t kMaxAddedTokenBytes = 1024;
// Contents of all added tokens; the tree to search for them takes 16 times that.
constexpr std::size_t kMaxAddedBytes = std::size_t{1} << 24;
constexpr std::size_t kMaxPatternBytes = std::size_t{1} << 16;
constexpr std::size_t kMaxSteps = 32;  // normalizers, pre-tokenizers or decoders in a sequence

}  // namespace quernel::text
