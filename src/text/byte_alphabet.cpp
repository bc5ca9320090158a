#include "text/byte_alphabet.h"

#include <fmt/format.h>

#include <array>

#include "text/utf8.h"

namespace quernel::text {
namespace {

constexpr std::uint32_t kAlphabetEnd = 0x144;  // 256 + 68: the last byte without its own character is 0xAD at U+0143

constexpr bool stands_for_itself(std::uint32_t byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

constexpr std::array<std::uint16_t, 256> make_forward() {
  std::array<std::uint16_t, 256> chars{};
  std::uint16_t next = 0x100;
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    chars[byte] = stands_for_itself(byte) ? static_cast<std::uint16_t>(byte) : next++;
  }
  return chars;
}

constexpr std::array<std::uint16_t, 256> kForward = make_forward();
constexpr std::uint16_t kNoByte = 0xFFFF;

constexpr std::array<std::uint16_t, kAlphabetEnd> make_backward() {
  std::array<std::uint16_t, kAlphabetEnd> bytes{};
  for (std::uint16_t& byte : bytes) byte = kNoByte;
  for (std::uint16_t byte = 0; byte < 256; ++byte) bytes[kForward[byte]] = byte;
  return bytes;
}

constexpr std::array<std::uint16_t, kAlphabetEnd> kBackward = make_backward();

}  // namespace

std::uint32_t alphabet_char(std::uint8_t byte) { return kForward[byte]; }

std::optional<std::uint8_t> alphabet_byte(std::uint32_t code) {
  if (code >= kAlphabetEnd || kBackward[code] == kNoByte) return std::nullopt;
  return static_cast<std::uint8_t>(kBackward[code]);
}

std::string to_alphabet(std::string_view bytes) {
  std::string out;
  for (const char byte : bytes) append_utf8(out, alphabet_char(static_cast<std::uint8_t>(byte)));
  return out;
}

std::optional<std::string> from_alphabet(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  const char* at = text.data();
  const char* end = at + text.size();
  while (at < end) {
    const Decoded here = decode_utf8(at, end);
    const std::optional<std::uint8_t> byte = alphabet_byte(here.code);
    if (!byte) return std::nullopt;
    out.push_back(static_cast<char>(*byte));
    at += here.length;
  }
  return out;
}

std::optional<std::uint8_t> byte_token_value(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  std::uint32_t value = 0;
  for (const char c : token.substr(3, 2)) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit && (c < 'A' || c > 'F')) return std::nullopt;
    value = value * 16 + static_cast<std::uint32_t>(digit ? c - '0' : c - 'A' + 10);
  }
  return static_cast<std::uint8_t>(value);
}

std::string byte_token(std::uint8_t byte) { return fmt::format("<0x{:02X}>", byte); }

}  // namespace quernel::text
