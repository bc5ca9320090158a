// GGUF files made field by field, right or wrong on purpose.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace quernel::test {

template <class T>
std::string number_bytes(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

inline std::string string_bytes(std::string_view text) {
  return number_bytes<std::uint64_t>(text.size()) + std::string(text);
}

// Kind numbers of metadata values.
enum Kind : std::uint32_t { kU8, kI8, kU16, kI16, kU32, kI32, kF32, kBool, kString, kArray, kU64, kI64, kF64 };

inline std::string pair_bytes(std::string_view key, std::uint32_t kind, const std::string& value) {
  return string_bytes(key) + number_bytes(kind) + value;
}

inline std::string array_bytes(std::uint32_t element_kind, std::uint64_t count, const std::string& elements) {
  return number_bytes(element_kind) + number_bytes(count) + elements;
}

// dims in the file's order: the row first.
inline std::string tensor_bytes(std::string_view name, const std::vector<std::uint64_t>& dims, std::uint32_t type,
                                std::uint64_t offset) {
  std::string bytes = string_bytes(name) + number_bytes(static_cast<std::uint32_t>(dims.size()));
  for (const auto dimension : dims) bytes += number_bytes(dimension);
  return bytes + number_bytes(type) + number_bytes(offset);
}

struct GgufBuilder {
  std::string magic = "GGUF";
  std::uint32_t version = 3;
  std::vector<std::string> pairs;
  std::vector<std::string> tensors;
  std::string data;
  std::uint64_t alignment = 32;
  std::int64_t extra_tensors = 0;  // declared, but not there
  std::int64_t extra_pairs = 0;

  [[nodiscard]] std::string head() const {
    std::string bytes =
        magic + number_bytes(version) +
        number_bytes(static_cast<std::uint64_t>(static_cast<std::int64_t>(tensors.size()) + extra_tensors)) +
        number_bytes(static_cast<std::uint64_t>(static_cast<std::int64_t>(pairs.size()) + extra_pairs));
    for (const auto& pair : pairs) bytes += pair;
    for (const auto& tensor : tensors) bytes += tensor;
    return bytes;
  }
  [[nodiscard]] std::string build() const {
    std::string bytes = head();
    while (bytes.size() % alignment != 0) bytes += '\0';
    return bytes + data;
  }
};

// One of every kind of value, and three tensors: F32 [2, 3], Q4_0 [2, 32], U8-like I8 [5].
inline GgufBuilder small_gguf() {
  GgufBuilder gguf;
  gguf.pairs = {
      pair_bytes("general.architecture", kString, string_bytes("llama")),
      pair_bytes("v.u8", kU8, number_bytes<std::uint8_t>(200)),
      pair_bytes("v.i8", kI8, number_bytes<std::int8_t>(-100)),
      pair_bytes("v.u16", kU16, number_bytes<std::uint16_t>(60000)),
      pair_bytes("v.i16", kI16, number_bytes<std::int16_t>(-30000)),
      pair_bytes("v.u32", kU32, number_bytes<std::uint32_t>(4000000000U)),
      pair_bytes("v.i32", kI32, number_bytes<std::int32_t>(-2000000000)),
      pair_bytes("v.f32", kF32, number_bytes(0.1F)),
      pair_bytes("v.bool", kBool, std::string(1, '\1')),
      pair_bytes("v.u64", kU64, number_bytes<std::uint64_t>(18446744073709551615ULL)),
      pair_bytes("v.i64", kI64, number_bytes<std::int64_t>(-9000000000000000000LL)),
      pair_bytes("v.f64", kF64, number_bytes(-2.5)),
      pair_bytes("a.i32", kArray, array_bytes(kI32, 3, number_bytes(1) + number_bytes(-2) + number_bytes(3))),
      pair_bytes("a.f32", kArray, array_bytes(kF32, 2, number_bytes(0.5F) + number_bytes(-1.0F))),
      pair_bytes("a.bool", kArray, array_bytes(kBool, 3, std::string("\1\0\1", 3))),
      pair_bytes("a.str", kArray,
                 array_bytes(kString, 3, string_bytes("a") + string_bytes("") + string_bytes("\xC4\xA0x"))),
      pair_bytes("a.none", kArray, array_bytes(kString, 0, "")),
  };
  gguf.tensors = {tensor_bytes("first", {3, 2}, 0, 0), tensor_bytes("blocks", {32, 2}, 2, 32),
                  tensor_bytes("last", {5}, 24, 96)};
  std::string floats;
  for (int i = 0; i < 6; ++i) floats += number_bytes(static_cast<float>(i));
  gguf.data =
      floats + std::string(8, '\0') + std::string(36, '\x11') + std::string(28, '\0') + "abcde" + std::string(27, '\0');
  return gguf;
}

}  // namespace quernel::test
