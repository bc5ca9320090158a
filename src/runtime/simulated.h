// Low-bit activations and keys/values, simulated in the float forward: the arithmetic of the integer runtime, in floats.
//
// What a linear of a block reads is replaced by the value of its codes, each token (or each group of its entries) with a
// scale of its own; keys and values likewise as they enter the cache, each head of each token. The head and the embedding
// stay as they are. Rounding is to nearest, ties to even; all arithmetic is fp32, in the order written here.
//
// Activations  symmetric, m = 2^(bits-1) - 1, a = max |x| over the group:
//                scale = a / m, inverse = m / a, code = clamp(round(x * inverse), -m, m), value = scale * code
//              asymmetric, m = 2^bits - 1, low = min(x, 0), high = max(x, 0) over the group:
//                scale = (high - low) / m, inverse = m / (high - low), zero = round(-low * inverse),
//                code = clamp(round(x * inverse) + zero, 0, m), value = scale * (code - zero)
//              A group whose inverse is not finite (a below m / 3.4e38, or 0) has the value 0 everywhere.
// Keys, values after RoPE and the transform of queries and keys; each head of each token, m = 2^bits - 1:
//                scale = f16((max - min) / m), offset = f16(min), both held within f16's range; inverse = 1 / scale
//                code = clamp(round((x - offset) * inverse), 0, m), value = scale * code + offset
//              scale 0: code 0; a range that is not finite: left as it is. So q . k = scale * sum(q code) + offset * sum(q): integer codes, two floats a head.
// Pages        with 4 bits the cache consists of pages of kPageTokens positions. The page that is being written and the first of
//              a sequence hold 8 bits. A page that is full, and not the first, is rounded to 4 from what it holds once its own
//              tokens have been attended: values as above; keys less their mean over the page, center = f16(sum / kPageTokens)
//              a channel, so that q . k = (as above) + q . center. Why: attention looks mostly at what is near and at the first
//              token, and keys have means that are large beside what tells them apart. An entry of a full page has 4.5 bits, of
//              keys 5. Not undone where a cache is cut back into a full page: its tokens stay at 4 bits
// Exact        a token depends on its sequence alone; not on threads, chunks or on what it is batched with. NaN and infinity stay visible
// Errors       validate: unsupported
// Threads      the pool passed in
// Source       W4A8KV4 of QServe, arXiv 2405.04532; groups and asymmetry as in QuaRot, arXiv 2404.00456; that a constant can be
//              taken from all keys: SageAttention, arXiv 2410.02367 (there from the whole sequence); pages: own
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"
#include "sys/thread_pool.h"
#include "tensor/matrix.h"

namespace quernel::runtime {

inline constexpr std::int64_t kPageTokens = 32;

struct SimulatedBits {
  int activation_bits = 16;            // 16 (not simulated), 8, 4
  std::int64_t activation_group = -1;  // entries that share a scale; -1: all of a token. The last group may be shorter
  bool activation_asymmetric = false;
  int kv_bits = 16;  // 16 (not simulated), 8, 4

  [[nodiscard]] bool any() const { return activation_bits != 16 || kv_bits != 16; }
  bool operator==(const SimulatedBits&) const = default;
};

// "none", "a8", "a4 g128 asym kv4": for reports, and where settings are compared.
std::string to_string(const SimulatedBits& bits);
// Errors: unsupported (bits, group size), naming the option as the command line has it.
Status validate(const SimulatedBits& bits);

// In place; rows [tokens, width].
void simulate_activations(const SimulatedBits& bits, MatrixView rows, sys::ThreadPool& pool);
// In place; rows [tokens, heads * head_dim] as they enter the cache: with 4 bits, those of an open page.
void simulate_kv(const SimulatedBits& bits, std::int64_t head_dim, MatrixView rows, sys::ThreadPool& pool);
// A full page of one head, in place: keys and values [kPageTokens, head_dim].
void simulate_full_page(MatrixView keys, MatrixView values);
// Whether tokens fill pages that are rounded again.
inline bool has_pages(const SimulatedBits& bits) { return bits.kv_bits == 4; }

// One group of activations, one head: the reference that kernels are held against.
void simulate_group(int bits, bool asymmetric, std::span<float> group);
void simulate_head(int bits, std::span<float> head);

}  // namespace quernel::runtime
