// A page of the paged cache: keys and values of 32 positions of one key/value head.
//
// Layout   two runs of bytes at multiples of 64, one for keys and one for values, so that attention can stream the keys of many pages and
//          then their values. D = head_dim (a multiple of 8), P = D rounded up to 16
//   8 bits keys   U8 [2][D / 4][16 tokens][4 dims]     unit j of panel t / 16: what one 512-bit dot-product instruction takes
//          values U8 [P / 16][8][16 dims][4 tokens]    unit t / 4 of panel d / 16
//   4 bits the same units in pairs: keys [2][D / 8][64], low nibbles unit j, high nibbles unit j + D / 8; values [P / 16][4][64], low
//          nibbles unit j, high nibbles unit j + 4
//   each then F16 [2][32]: scales, offsets; keys of 4 bits also F16 [D]: centers
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

// Where the parts of a page begin, in bytes, and their sizes.
struct PageLayout {
  std::int64_t key_params = 0;
  std::int64_t centers = 0;
  std::int64_t key_bytes = 0;
  std::int64_t value_params = 0;
  std::int64_t value_bytes = 0;
};
constexpr PageLayout page_layout(std::int64_t head_dim, int bits) {
  const std::int64_t params = bits == 16 ? 0 : 2 * kPageTokens * 2;
  PageLayout at;
  at.key_params = kPageTokens * head_dim * bits / 8;
  at.centers = at.key_params + params;
  at.key_bytes = (at.centers + (bits == 4 ? head_dim * 2 : 0) + 63) / 64 * 64;
  at.value_params = kPageTokens * padded_dim(head_dim) * bits / 8;
  at.value_bytes = (at.value_params + params + 63) / 64 * 64;
  return at;
}

// Memory of a page.
struct PageBytes {
  std::uint8_t* keys = nullptr;
  std::uint8_t* values = nullptr;
};

// Writes the position `slot` (0 .. 31) of a page of 8 or 16 bits; key and value [head_dim].
void write_token(const PageBytes& page, int bits, std::int64_t head_dim, std::int64_t slot, const float* key,
                 const float* value);

// A full page of 8 bits becomes one of 4.
void close_page(const PageBytes& page8, std::int64_t head_dim, const PageBytes& page4);

// What a slot holds, as attention sees it. key and value [head_dim]
void read_token(const PageBytes& page, int bits, std::int64_t head_dim, std::int64_t slot, float* key, float* value);

}  // namespace quernel::kernels::kv_attention
