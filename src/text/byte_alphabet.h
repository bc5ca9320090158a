// The printable alphabet of byte-level BPE: each of the 256 bytes as one character of at most two bytes.
//
// Formula  '!'..'~', U+00A1..U+00AC and U+00AE..U+00FF stand for their own value; the other 68 bytes, in order, are
//          U+0100 onwards (space U+0120, LF U+010A)
// Threads  pure functions
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace quernel::text {

std::uint32_t alphabet_char(std::uint8_t byte);
std::optional<std::uint8_t> alphabet_byte(std::uint32_t code);
std::string to_alphabet(std::string_view bytes);
// The bytes, or nothing where a character is not of the alphabet.
std::optional<std::string> from_alphabet(std::string_view text);

// <0xNN> with two capital hexadecimal digits: the byte, or nothing.
std::optional<std::uint8_t> byte_token_value(std::string_view token);
std::string byte_token(std::uint8_t byte);

}  // namespace quernel::text
