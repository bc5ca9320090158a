// JSON text read value by value, without building a tree: the parser under parse_json() and under the safetensors
// header.
//
// The caller walks the structure it expects (begin_object, next_key, read_string, ...), so memory is what the caller
// keeps. Strict JSON: no comments, no trailing commas, valid UTF-8, no unpaired surrogates, numbers that fit a double.
// Duplicate keys are the caller's to refuse: it holds the keys.
//
// Limits   nesting kMaxJsonDepth
// Errors   corrupt or limit_exceeded, with file and byte offset (base_offset + position in text)
// Threads  a reader belongs to one thread; the text outlives it
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"

namespace quernel {

constexpr int kMaxJsonDepth = 128;

enum class JsonKind { object, array, string, number, boolean, null };

const char* to_string(JsonKind kind);

// An integer keeps its value where 64 bits hold it; other numbers are doubles.
using JsonNumber = std::variant<std::int64_t, std::uint64_t, double>;

class JsonReader {
 public:
  JsonReader(std::string_view text, std::string file, std::uint64_t base_offset = 0)
      : text_(text), file_(std::move(file)), base_offset_(base_offset) {}

  // Kind of the value that comes next, not consumed.
  Result<JsonKind> peek();

  // An object: begin_object, then next_key until it is false, one value read after each key. Arrays alike.
  Status begin_object();
  Result<bool> next_key(std::string& key);
  Status begin_array();
  Result<bool> next_element();

  Status read_string(std::string& out);
  Result<JsonNumber> read_number();
  Result<std::uint64_t> read_u64();  // digits only: refuses signs, fractions and exponents
  Result<bool> read_bool();
  Status read_null();
  // Only white space is left.
  Status finish();

  // Where the last key or value began, counted like the offsets of errors.
  [[nodiscard]] std::uint64_t token_offset() const { return base_offset_ + token_; }
  [[nodiscard]] std::uint64_t offset() const { return base_offset_ + position_; }
  [[nodiscard]] const std::string& file() const { return file_; }
  // An error at the last token.
  [[nodiscard]] Error error(std::string message) const { return error_at(token_, std::move(message)); }

 private:
  [[nodiscard]] Error error_at(std::size_t position, std::string message) const;
  [[nodiscard]] Error unexpected(const char* expected) const;
  [[nodiscard]] bool at_end() const { return position_ >= text_.size(); }
  [[nodiscard]] char current() const { return at_end() ? '\0' : text_[position_]; }
  void skip_space();
  Status enter(char bracket, const char* expected);
  Result<bool> next_item(char close);
  Status read_literal(std::string_view literal);
  Status read_escape(std::string& out);
  Result<std::uint32_t> read_hex4();
  Result<bool> scan_number();  // true for an integer; leaves position_ after it

  std::string_view text_;
  std::string file_;
  std::uint64_t base_offset_ = 0;
  std::size_t position_ = 0;
  std::size_t token_ = 0;
  int depth_ = 0;
  bool first_ = true;  // no item of the innermost open object or array has been read
};

// Length of the UTF-8 sequence at the start of text (1 to 4), or 0 where it is not valid there.
std::size_t utf8_sequence_length(std::string_view text);

}  // namespace quernel
