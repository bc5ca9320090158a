#include "base/json_reader.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "base/utf8.h"

namespace quernel {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

// What stands at a position, in a form that a terminal shows safely.
std::string describe(std::string_view text, std::size_t position) {
  if (position >= text.size()) return "end of text";
  const auto byte = static_cast<unsigned char>(text[position]);
  if (byte > 0x20 && byte < 0x7F) return fmt::format("'{}'", text[position]);
  return fmt::format("byte 0x{:02x}", byte);
}

}  // namespace

const char* to_string(JsonKind kind) {
  switch (kind) {
    case JsonKind::object: return "object";
    case JsonKind::array: return "array";
    case JsonKind::string: return "string";
    case JsonKind::number: return "number";
    case JsonKind::boolean: return "boolean";
    case JsonKind::null: return "null";
  }
  return "unknown";
}

std::size_t utf8_sequence_length(std::string_view text) {
  if (text.empty()) return 0;
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;  // a continuation, an overlong form, or beyond U+10FFFF
  const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if (!is_continuation(text[i])) return 0;
  }
  const unsigned second = byte(1);
  const bool overlong = (lead == 0xE0 && second < 0xA0) || (lead == 0xF0 && second < 0x90);
  const bool surrogate = lead == 0xED && second > 0x9F;
  const bool beyond = lead == 0xF4 && second > 0x8F;
  return overlong || surrogate || beyond ? 0 : length;
}

Error JsonReader::error_at(std::size_t position, std::string message) const {
  return Error(Fault::corrupt, std::move(message)).in_file(file_).at(base_offset_ + position);
}

Error JsonReader::unexpected(const char* expected) const {
  return error_at(position_, at_end() ? "JSON ends early" : "JSON is not well formed")
      .expect(expected, describe(text_, position_));
}

void JsonReader::skip_space() {
  while (position_ < text_.size()) {
    const char c = text_[position_];
    if (c != ' ' && c != '\n' && c != '\r' && c != '\t') break;
    ++position_;
  }
}

Result<JsonKind> JsonReader::peek() {
  skip_space();
  token_ = position_;
  const char c = current();
  if (c == '{') return JsonKind::object;
  if (c == '[') return JsonKind::array;
  if (c == '"') return JsonKind::string;
  if (c == '-' || is_digit(c)) return JsonKind::number;
  if (c == 't' || c == 'f') return JsonKind::boolean;
  if (c == 'n') return JsonKind::null;
  return unexpected("a value");
}

Status JsonReader::enter(char bracket, const char* expected) {
  skip_space();
  token_ = position_;
  if (at_end() || current() != bracket) return unexpected(expected);
  if (depth_ >= kMaxJsonDepth) {
    return Error(Fault::limit_exceeded, fmt::format("JSON is nested deeper than {}", kMaxJsonDepth))
        .in_file(file_)
        .at(offset());
  }
  ++depth_;
  ++position_;
  first_ = true;
  return ok_status();
}

Status JsonReader::begin_object() { return enter('{', "an object"); }
Status JsonReader::begin_array() { return enter('[', "an array"); }

Result<bool> JsonReader::next_item(char close) {
  skip_space();
  if (!at_end() && current() == close) {
    ++position_;
    --depth_;
    first_ = false;  // the enclosing object or array has just got an item
    return false;
  }
  if (!first_) {
    if (at_end() || current() != ',') return unexpected(close == '}' ? "',' or '}'" : "',' or ']'");
    ++position_;
    skip_space();
  }
  first_ = false;
  return true;
}

Result<bool> JsonReader::next_element() { return next_item(']'); }

Result<bool> JsonReader::next_key(std::string& key) {
  QUERNEL_TRY(const bool more, next_item('}'));
  if (!more) return false;
  QUERNEL_TRY_STATUS(read_string(key));
  const std::size_t key_begin = token_;
  skip_space();
  if (at_end() || current() != ':') return unexpected("':'");
  ++position_;
  token_ = key_begin;
  return true;
}

Status JsonReader::read_string(std::string& out) {
  skip_space();
  token_ = position_;
  if (at_end() || current() != '"') return unexpected("a string");
  ++position_;
  out.clear();
  std::size_t run = position_;  // bytes copied in one go
  while (position_ < text_.size()) {
    const auto c = static_cast<unsigned char>(text_[position_]);
    if (c == '"') {
      out.append(text_, run, position_ - run);
      ++position_;
      return ok_status();
    }
    if (c == '\\') {
      out.append(text_, run, position_ - run);
      QUERNEL_TRY_STATUS(read_escape(out));
      run = position_;
    } else if (c < 0x20) {
      return unexpected("a string without control characters");
    } else if (c < 0x80) {
      ++position_;
    } else {
      const std::size_t length = utf8_sequence_length(text_.substr(position_));
      if (length == 0) return unexpected("valid UTF-8");
      position_ += length;
    }
  }
  return unexpected("'\"'");
}

Result<std::uint32_t> JsonReader::read_hex4() {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i, ++position_) {
    const char c = current();
    std::uint32_t digit = 0;
    if (is_digit(c)) {
      digit = static_cast<std::uint32_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<std::uint32_t>(c - 'a') + 10;
    } else if (c >= 'A' && c <= 'F') {
      digit = static_cast<std::uint32_t>(c - 'A') + 10;
    } else {
      return unexpected("four hexadecimal digits");
    }
    value = value << 4U | digit;
  }
  return value;
}

Status JsonReader::read_escape(std::string& out) {
  const std::size_t begin = position_;
  ++position_;  // the backslash
  const char c = current();
  constexpr std::string_view kLetters = "\"\\/bfnrt";
  constexpr std::string_view kBytes = "\"\\/\b\f\n\r\t";
  if (const std::size_t index = at_end() ? std::string_view::npos : kLetters.find(c); index != std::string_view::npos) {
    out.push_back(kBytes[index]);
    ++position_;
    return ok_status();
  }
  if (c != 'u') return unexpected("an escape sequence");
  ++position_;
  QUERNEL_TRY(std::uint32_t code, read_hex4());
  if (code >= 0xDC00 && code <= 0xDFFF) return error_at(begin, "low surrogate without a high one before it");
  if (code >= 0xD800 && code <= 0xDBFF) {
    if (text_.substr(position_, 2) != "\\u") return error_at(begin, "high surrogate without a low one after it");
    position_ += 2;
    QUERNEL_TRY(const std::uint32_t low, read_hex4());
    if (low < 0xDC00 || low > 0xDFFF) return error_at(begin, "high surrogate without a low one after it");
    code = 0x10000 + ((code - 0xD800) << 10U) + (low - 0xDC00);
  }
  append_utf8(out, code);
  return ok_status();
}

Result<bool> JsonReader::scan_number() {
  skip_space();
  token_ = position_;
  const auto digits = [this] {
    const std::size_t begin = position_;
    while (is_digit(current())) ++position_;
    return position_ > begin;
  };
  if (current() == '-') ++position_;
  if (current() == '0') {
    ++position_;  // no further digit may follow
    if (is_digit(current())) return unexpected("a number without leading zeros");
  } else if (!digits()) {
    return unexpected("a number");
  }
  bool integer = true;
  if (current() == '.') {
    integer = false;
    ++position_;
    if (!digits()) return unexpected("a digit");
  }
  if (current() == 'e' || current() == 'E') {
    integer = false;
    ++position_;
    if (current() == '+' || current() == '-') ++position_;
    if (!digits()) return unexpected("a digit");
  }
  return integer;
}

Result<JsonNumber> JsonReader::read_number() {
  QUERNEL_TRY(const bool integer, scan_number());
  const char* begin = text_.data() + token_;
  const char* end = text_.data() + position_;
  if (integer) {
    std::int64_t value = 0;
    if (std::from_chars(begin, end, value).ec == std::errc()) return JsonNumber(value);
    std::uint64_t wide = 0;
    if (*begin != '-' && std::from_chars(begin, end, wide).ec == std::errc()) return JsonNumber(wide);
  }
  double value = 0.0;
  const auto [last, code] = std::from_chars(begin, end, value);
  if (last != end) return error("number is not well formed");
  if (code == std::errc()) return JsonNumber(value);
  // Out of range is either too large, which is refused, or nearer to 0 than any double, which is 0. from_chars leaves
  // the value alone in both cases; strtod tells them apart.
  value = std::strtod(std::string(begin, end).c_str(), nullptr);
  if (!std::isfinite(value)) return error("number is too large for a double");
  return JsonNumber(value);
}

Result<std::uint64_t> JsonReader::read_u64() {
  QUERNEL_TRY(const bool integer, scan_number());
  const char* begin = text_.data() + token_;
  const char* end = text_.data() + position_;
  std::uint64_t value = 0;
  if (!integer || *begin == '-' || std::from_chars(begin, end, value).ec != std::errc()) {
    constexpr std::size_t kShown = 40;
    return error("not a whole number of 64 bits")
        .expect("0 to 2^64 - 1", std::string(text_.substr(token_, std::min(position_ - token_, kShown))));
  }
  return value;
}

Status JsonReader::read_literal(std::string_view literal) {
  for (const char c : literal) {
    if (at_end() || current() != c) return unexpected(fmt::format("'{}'", literal).c_str());
    ++position_;
  }
  return ok_status();
}

Result<bool> JsonReader::read_bool() {
  skip_space();
  token_ = position_;
  const bool value = current() == 't';
  QUERNEL_TRY_STATUS(read_literal(value ? "true" : "false"));
  return value;
}

Status JsonReader::read_null() {
  skip_space();
  token_ = position_;
  return read_literal("null");
}

Status JsonReader::finish() {
  skip_space();
  if (!at_end()) return unexpected("end of text");
  return ok_status();
}

}  // namespace quernel
