// Attention of some queries of one key/value head over a run of pages (page.h), reading their codes in place: no dequantized copy of the
// cache exists.
//
// Formula  s_j = scale * q . k_j, where soft_cap > 0 soft_cap * tanh(s_j / soft_cap), over the visible positions j of the run: j <=
//          position of the query, and where window > 0 also position - j < window.
//          max = largest s_j, sum = sum exp(s_j - max), mixed = sum exp(s_j - max) v_j: runs are joined by join(), in their order
// Integers a query is in two parts, 255 high + low (kernels/int_rows): its product with codes is exact in INT32, then
//          s = key_scale * (query_scale * dot) + key_offset * (query_scale * sum of codes) + q . center. Weights exp(s_j - max) * value_scale_j of
//          a run are split likewise, by their largest: 1 / 65,024 of it is their error. Pages of 16 bits are read in floats
// Exact    a row depends on its query and the visible keys alone, bit for bit: not on the other rows of the call or on the pages
//          after it. AVX2 and AVX-512 agree bit for bit
// Extremes a run without a visible key: max -infinity, sum 0, mixed 0
// Error    against exact arithmetic on what read_token gives: relative to max |v|: 256 positions whose weights are off by 2^-17 of the
//          largest each, 2^-9 at worst and 2^-12 in tests; and (head_dim max|q||k| scale + 64) * 2^-22
// Threads  pure functions
#pragma once

#include <cstdint>

#include "kernels/kv_attention/page.h"

namespace quernel::kernels::kv_attention {

struct Query {
  const float* values = nullptr;      // [head_dim]
  const std::int8_t* high = nullptr;  // [head_dim], multiples of 4 bytes
  const std::int8_t* low = nullptr;
  float scale = 0.0F;  // of low; 255 times that of high
  std::int32_t high_sum = 0;
  std::int32_t low_sum = 0;
  std::int64_t position = 0;
};

struct Page {
  PageBytes bytes;
  int bits = 8;
};
constexpr std::int64_t kMaxRunPages =
    8;  // of a call: 256 positions, whose weights and keys stay in the first-level cache

// Results of a run for one query. mixed [padded_dim(head_dim)]
struct Partial {
  float max;
  float sum;
  float* mixed;
};

struct Args {
  const Query* queries = nullptr;
  Partial* partials = nullptr;
  std::int64_t num_queries = 0;
  const Page* pages = nullptr;
  std::int64_t num_pages = 0;  // 1 .. kMaxRunPages; all of 16 bits or none
  const Page* next = nullptr;  // pages whose keys the next call reads, where known: they are fetched meanwhile
  std::int64_t num_next = 0;
  std::int64_t first_position = 0;  // of pages[0], a multiple of 32
  std::int64_t head_dim = 0;        // a multiple of 8, at most kMaxHeadDim
  float scale = 1.0F;
  float soft_cap = 0.0F;
  std::int64_t window = 0;
};
using Run = void (*)(const Args& args) noexcept;

// Codes of one head of a token for page.h: low = min x, high = max x, scale = f16((high - low) / most), offset = f16(low), code =
// round((x - offset) / scale) within 0 .. most, ties to even; size a multiple of 8. A range that is not finite: scale and offset NaN, codes 0.
// All variants agree bit for bit.
struct Coded {
  std::uint16_t scale = 0;
  std::uint16_t offset = 0;
  alignas(16) std::uint8_t codes[kMaxHeadDim];
};
using Encode = void (*)(const float* x, std::int64_t size, float most, Coded& out) noexcept;

// out [head_dim] = the runs' mixed values over their sums, joined in order; zero where no key was visible.
void join(const Partial* partials, std::int64_t num_partials, std::int64_t head_dim, float* out);

}  // namespace quernel::kernels::kv_attention
