// Causal grouped-query attention in fp32: the query heads that share one key/value head, some tokens of one sequence.
//
// Layout   query token t, head h at q + t * q_token_stride + h * q_head_stride, head_dim floats; out likewise;
//          keys + j * key_stride and values + j * value_stride hold position first_key + j, j < num_keys
// Formula  out[t][h] = sum_j p_j v_j, p = softmax over visible j of s_j, s_j = scale * q . k_j; where soft_cap > 0 it is
//          soft_cap * tanh(that / soft_cap). Visible: j <= first_query + t, and where window > 0 also
//          first_query + t - j < window (positions; the token itself always counts).
// Exact    a row (t, h) depends on its query and the visible keys alone, bit for bit: not on the other rows of the
//          call, how the sequence was cut into calls, or how many keys follow. (Keys are taken in blocks aligned to
//          positions; keys older than the window may be absent.) AVX2 and AVX-512 agree bit for bit.
// Extremes all keys and values given must be finite: a hidden value is multiplied by 0
// Error    relative to max |v|: (head_dim * max|q||k| * scale + visible keys / 16 + 32) * 2^-24
// Cost     keys are re-ordered once a call: give it 64 rows (tokens * heads) or more in prefill
// Threads  pure functions; scratch belongs to the calling thread
#pragma once

#include <cstdint>

namespace quernel::kernels::attention_float {

struct Args {
  const float* q = nullptr;
  std::int64_t q_token_stride = 0;
  std::int64_t q_head_stride = 0;
  std::int64_t num_tokens = 0;
  std::int64_t num_heads = 1;    // query heads of this key/value head
  std::int64_t first_query = 0;  // position of token 0

  const float* keys = nullptr;
  std::int64_t key_stride = 0;
  const float* values = nullptr;
  std::int64_t value_stride = 0;
  std::int64_t num_keys = 0;   // every query must see a key: first_key <= its position, and its own key is there
  std::int64_t first_key = 0;  // position of key 0

  std::int64_t head_dim = 0;
  float scale = 1.0F;
  float soft_cap = 0.0F;    // 0: none
  std::int64_t window = 0;  // 0: all earlier positions

  float* out = nullptr;
  std::int64_t out_token_stride = 0;
  std::int64_t out_head_stride = 0;

  float* scratch = nullptr;  // scratch_floats(...) floats, 64-byte aligned
};

constexpr std::int64_t kKeyBlock = 64;  // positions

// One block of keys in transposed order, the scores of a tile of rows, and maximum and sum of every row.
constexpr std::int64_t scratch_floats(std::int64_t head_dim, std::int64_t num_tokens, std::int64_t num_heads) {
  return kKeyBlock * head_dim + 16 * kKeyBlock + 2 * (num_tokens * num_heads + 16);
}

using Run = void (*)(const Args&) noexcept;

}  // namespace quernel::kernels::attention_float
