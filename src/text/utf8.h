// UTF-8, one character at a time.
//
// Exact    the well-formed sequences of the Unicode standard (table 3-7): no surrogates, no overlong forms
// Errors   a byte that begins no well-formed sequence is an invalid character of one byte
// Threads  pure functions
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/utf8.h"

namespace quernel::text {

constexpr std::uint32_t kInvalidCodePoint = 0xFFFFFFFFU;

struct Decoded {
  std::uint32_t code = kInvalidCodePoint;
  std::uint32_t length = 1;  // bytes
  [[nodiscard]] bool valid() const { return code != kInvalidCodePoint; }
};

namespace detail {

inline std::uint32_t tail_bits(char byte) { return static_cast<unsigned char>(byte) & 0x3FU; }
inline bool is_tail(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U; }

}  // namespace detail

// at < end.
inline Decoded decode_utf8(const char* at, const char* end) {
  const std::uint32_t lead = static_cast<unsigned char>(*at);
  if (lead < 0x80) return {lead, 1};
  const auto left = end - at;
  if (lead < 0xC2 || left < 2 || !detail::is_tail(at[1])) return {};
  if (lead < 0xE0) return {(lead & 0x1FU) << 6U | detail::tail_bits(at[1]), 2};
  if (left < 3 || !detail::is_tail(at[2])) return {};
  if (lead < 0xF0) {
    const std::uint32_t code = (lead & 0xFU) << 12U | detail::tail_bits(at[1]) << 6U | detail::tail_bits(at[2]);
    if (code < 0x800 || (code >= 0xD800 && code < 0xE000)) return {};
    return {code, 3};
  }
  if (left < 4 || !detail::is_tail(at[3]) || lead > 0xF4) return {};
  const std::uint32_t code = (lead & 0x7U) << 18U | detail::tail_bits(at[1]) << 12U | detail::tail_bits(at[2]) << 6U |
                             detail::tail_bits(at[3]);
  if (code < 0x10000 || code > 0x10FFFF) return {};
  return {code, 4};
}

using quernel::append_utf8;

// Bytes at the end of `text` that begin a sequence which more bytes could complete (0 to 3).
std::size_t incomplete_tail(std::string_view text);
// Invalid sequences replaced by U+FFFD, one for each longest prefix of a valid sequence (Unicode standard, section
// 3.9).
std::string repair_utf8(std::string_view text);

}  // namespace quernel::text
