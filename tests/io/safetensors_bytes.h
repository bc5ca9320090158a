// Safetensors files made byte by byte, right or wrong on purpose.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace quernel::test {

inline std::string u64_bytes(std::uint64_t value) {
  std::string bytes(8, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(value >> (8 * i) & 0xFFU);
  return bytes;
}

// Length field, header as given, data.
inline std::string safetensors_bytes(std::string_view header, std::string_view data) {
  std::string bytes = u64_bytes(header.size());
  bytes += header;
  bytes += data;
  return bytes;
}

inline std::span<const std::byte> as_bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

}  // namespace quernel::test
