// Metadata of a GGUF file: keys, values of 13 kinds, and getters that say what was missing or of the wrong kind.
//
// Layout   values stay where they are in the file; a GgufValue points at their bytes, which were checked when it was
//          made
// Errors   getters: not_found for an absent key, corrupt for a value of another kind or out of range; the key is the
//          field
// Threads  const functions from any thread
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "io/gguf_types.h"

namespace quernel::io {

struct GgufValue {
  GgufKind kind = GgufKind::u8;
  GgufKind element_kind = GgufKind::u8;  // of an array
  std::uint64_t num_elements = 1;        // of an array
  std::span<const std::byte> bytes;      // scalar, text of a string, or elements of an array
  std::uint64_t offset_bytes = 0;        // of the bytes in the file
};

struct GgufPair {
  std::string_view key;
  GgufValue value;
};

class GgufMetadata {
 public:
  GgufMetadata() = default;
  // Keys are unique; the parser has seen to it.
  GgufMetadata(std::vector<GgufPair> pairs, std::string file);

  [[nodiscard]] const std::vector<GgufPair>& pairs() const { return pairs_; }  // in file order
  [[nodiscard]] const GgufValue* find(std::string_view key) const;
  [[nodiscard]] bool has(std::string_view key) const { return find(key) != nullptr; }

  // Integers of any kind whose value fits: writers disagree about u32, i32 and u64.
  [[nodiscard]] Result<std::uint32_t> u32(std::string_view key) const;
  [[nodiscard]] Result<std::uint64_t> u64(std::string_view key) const;
  [[nodiscard]] Result<std::int64_t> i64(std::string_view key) const;
  // f32 or f64 (rounded to float).
  [[nodiscard]] Result<float> f32(std::string_view key) const;
  [[nodiscard]] Result<bool> boolean(std::string_view key) const;
  [[nodiscard]] Result<std::string_view> string(std::string_view key) const;  // any bytes

  // The value, or the fallback where the key is absent; a value of another kind is an error.
  [[nodiscard]] Result<std::uint32_t> u32_or(std::string_view key, std::uint32_t fallback) const;
  [[nodiscard]] Result<float> f32_or(std::string_view key, float fallback) const;
  [[nodiscard]] Result<bool> boolean_or(std::string_view key, bool fallback) const;
  [[nodiscard]] Result<std::string_view> string_or(std::string_view key, std::string_view fallback) const;

  // Arrays, whole. integers: of any integer or boolean kind; floats: of f32 or f64.
  [[nodiscard]] Result<std::vector<std::int64_t>> integers(std::string_view key) const;
  [[nodiscard]] Result<std::vector<float>> floats(std::string_view key) const;
  [[nodiscard]] Result<std::vector<std::string_view>> strings(std::string_view key) const;

 private:
  [[nodiscard]] Result<const GgufValue*> require(std::string_view key) const;
  [[nodiscard]] Result<const GgufValue*> require_array(std::string_view key) const;
  [[nodiscard]] Error wrong_kind(std::string_view key, const GgufValue& value, const char* expected) const;

  std::vector<GgufPair> pairs_;
  std::vector<std::uint32_t> by_key_;  // indices into pairs_, keys ascending
  std::string file_;
};

// For people: "576", "\"llama\"", "[49152 x string] \"<|endoftext|>\", ..."; strings are quoted as in JSON and cut.
std::string to_string(const GgufValue& value, std::size_t max_elements = 4);

}  // namespace quernel::io
