// What a GGUF block says before it is multiplied out: small integers and the halves that scale them.
//
// Kinds    plain    value = d * (q - zero)            Q4_0, Q5_0, Q8_0, IQ4_NL (of levels: q is 127 + level)
//          minimum  value = q * d + m                 Q4_1, Q5_1
//          scaled   value = (d * s) * (q - zero)      Q3_K, Q6_K, IQ4_XS (of levels)
//          both     value = (d * s) * q - dmin * m    Q2_K, Q4_K, Q5_K
//          s and m are integers of a group, d and dmin halves of the block; products of halves and s, m are exact in float
// Levels   of IQ4_NL and IQ4_XS a code is an index: q = kUnevenLevels[code]
// Exact    codec/gguf_blocks.h decodes by these formulas, to the bits of the format's reference
// Threads  pure functions
// Source   block layouts of ggml
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "codec/gguf_types.h"

namespace quernel::codec {

enum class GgufForm : std::uint8_t { plain, minimum, scaled, both };

struct GgufKind {
  GgufForm form;
  int bits;            // of a code
  int zero;            // taken off a code, or a level
  std::int64_t group;  // elements that share s and m, or d
  bool has_levels = false;
};

constexpr int kMaxBlockElements = 256;
// 127 more than the levels of the 4-bit types with uneven steps.
inline constexpr std::array<std::uint8_t, 16> kUnevenLevels = {0,   23,  44,  62,  78,  92,  105, 117,
                                                               128, 140, 152, 165, 180, 196, 216, 240};

struct GgufSplit {
  std::uint16_t d = 0;     // half
  std::uint16_t dmin = 0;  // half; m of the minimum form
  std::array<std::int16_t, kMaxBlockElements / 16> s{};
  std::array<std::int16_t, kMaxBlockElements / 16> m{};
  std::array<std::uint8_t, kMaxBlockElements> codes{};
};

// Nothing for types that are no integers with scales.
std::optional<GgufKind> gguf_kind(GgmlType type);
// block: bytes_per_block of a type that has a kind.
void split_gguf(GgmlType type, const std::byte* block, GgufSplit& out);

}  // namespace quernel::codec
