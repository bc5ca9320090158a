// Numbers of the GGUF container: kinds of metadata values, and how many bytes each tensor type takes.
//
// What the blocks hold is the business of codec/gguf_types.h; a test holds the two tables together.
//
// Threads  constant data
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace quernel::io {

enum class GgufKind : std::uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,  // one byte, 0 or 1
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12,
};

constexpr std::uint32_t kNumGgufKinds = 13;

std::string_view to_string(GgufKind kind);
// Bytes of a scalar, 0 for strings and arrays.
std::uint64_t scalar_bytes(GgufKind kind);

struct GgufTypeSize {
  std::uint32_t number;
  std::string_view name;
  std::uint64_t elements_per_block;  // along the row
  std::uint64_t bytes_per_block;
};

std::span<const GgufTypeSize> gguf_type_sizes();
// Nothing for a number that is not in the table.
const GgufTypeSize* find_gguf_type(std::uint32_t number);
// Numbers that once had a meaning and were withdrawn.
bool is_removed_gguf_type(std::uint32_t number);

}  // namespace quernel::io
