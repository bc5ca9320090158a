// A page of the paged cache: keys and values of 32 positions of one key/value head.
//
// Layout   one run of bytes, page_bytes(head_dim, bits), at a multiple of 64. D = head_dim (a multiple of 8), P = D rounded up to 16
//   8 bits keys   U8 [2][D / 4][16 tokens][4 dims]     unit j of panel t / 16: what one 512-bit dot-product instruction takes
//          values U8 [P / 16][8][16 dims][4 tokens]    unit t / 4 of panel d / 16
//   4 bits the same units in pairs: keys [2][D / 8][64], low nibbles unit j, high nibbles unit j + D / 8; values [P / 16][4][64], low
//          nibbles unit j, high nibbles unit j + 4
//   then   F16 [4][32]: key scales, key offsets, value scales, value offsets; with 4 bits F16 [D]: centers of keys
//   16 bits keys F16 [D][32 tokens], values F16 [32][P]
// Value    key = scale * code + offset (+ center), value = scale * code + offset: runtime/simulated.h says how they are found
// Extremes a head whose range is not finite gets a scale that is NaN, so that what is wrong shows
// Threads  a page is written by one thread; reading what was written before from any
// Source   dynamic scale and zero of each head and token: QServe, arXiv 2405.04532; pages and centers: docs/methods.md
#pragma once

#include <cstdint>

namespace quernel::kernels::kv_attention {

constexpr std::int64_t kPageTokens = 32;
constexpr std::int64_t kMaxHeadDim = 256;  // 255 * 255 * 127 * 256 < 2^31: the two-part dot product of a query

constexpr std::int64_t padded_dim(std::int64_t head_dim) { return (head_dim + 15) / 16 * 16; }

// Where the parts of a page begin, in bytes.
struct PageLayout {
  std::int64_t values = 0;
  std::int64_t params = 0;
  std::int64_t centers = 0;
  std::int64_t bytes = 0;
};
constexpr PageLayout page_layout(std::int64_t head_dim, int bits) {
  const std::int64_t keys = kPageTokens * head_dim * bits / 8;
  PageLayout at;
  at.values = keys;
  at.params = keys + kPageTokens * padded_dim(head_dim) * bits / 8;
  at.centers = bits == 16 ? at.params : at.params + 4 * kPageTokens * 2;
  at.bytes = (at.centers + (bits == 4 ? head_dim * 2 : 0) + 63) / 64 * 64;
  return at;
}

// Writes the position `slot` (0 .. 31) of a page of 8 or 16 bits; key and value [head_dim].
void write_token(std::uint8_t* page, int bits, std::int64_t head_dim, std::int64_t slot, const float* key, const float* value);

// A full page of 8 bits becomes one of 4.
void close_page(const std::uint8_t* page8, std::int64_t head_dim, std::uint8_t* page4);

// What a slot holds, as attention sees it. key and value [head_dim]
void read_token(const std::uint8_t* page, int bits, std::int64_t head_dim, std::int64_t slot, float* key, float* value);

}  // namespace quernel::kernels::kv_attention
