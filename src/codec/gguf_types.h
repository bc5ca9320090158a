// Tensor types of GGUF files: numbers, names and block sizes.
//
// Units    elements_per_block along the row; bytes_per_block as stored
// Source   the numbers that ggml gives its types; io/gguf_types.h has the sizes once more, a test holds both together
// Threads  constant data
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace quernel::codec {

enum class GgmlType : std::uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q4_1 = 3,
  q5_0 = 6,
  q5_1 = 7,
  q8_0 = 8,
  q8_1 = 9,
  q2_k = 10,
  q3_k = 11,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  q8_k = 15,
  iq2_xxs = 16,
  iq2_xs = 17,
  iq3_xxs = 18,
  iq1_s = 19,
  iq4_nl = 20,
  iq3_s = 21,
  iq2_s = 22,
  iq4_xs = 23,
  i8 = 24,
  i16 = 25,
  i32 = 26,
  i64 = 27,
  f64 = 28,
  iq1_m = 29,
  bf16 = 30,
  tq1_0 = 34,
  tq2_0 = 35,
  mxfp4 = 39,
  nvfp4 = 40,
  q1_0 = 41,
  q2_0 = 42,
};

struct GgmlTypeTraits {
  GgmlType type;
  std::string_view name;
  std::int64_t elements_per_block;
  std::int64_t bytes_per_block;
  bool decodable;  // dequantize_gguf() knows it
};

// Every type above, by number.
std::span<const GgmlTypeTraits> ggml_types();
// Nothing for a number that is not in the table.
const GgmlTypeTraits* find_ggml_type(std::uint32_t number);

}  // namespace quernel::codec
