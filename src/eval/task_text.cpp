#include "eval/task_text.h"

#include <algorithm>

#include "text/unicode_classes.h"
#include "text/utf8.h"

namespace quernel::eval {

namespace {

// An invalid byte is no white space.
bool is_space(std::uint32_t code) {
  constexpr std::uint32_t kFirstSeparator = 0x1C;  // file, group, record and unit separator
  constexpr std::uint32_t kLastSeparator = 0x1F;
  if (code >= kFirstSeparator && code <= kLastSeparator) return true;
  return (text::CharTable::get().kinds(code) & text::kSpace) != 0;
}

std::string_view strip_start(std::string_view text) {
  while (!text.empty()) {
    const text::Decoded first = text::decode_utf8(text.data(), text.data() + text.size());
    if (!is_space(first.code)) break;
    text.remove_prefix(first.length);
  }
  return text;
}

}  // namespace

std::optional<std::int64_t> count_characters(std::string_view text) {
  std::int64_t count = 0;
  const char* end = text.data() + text.size();
  for (const char* at = text.data(); at < end; ++count) {
    const text::Decoded character = text::decode_utf8(at, end);
    if (!character.valid()) return std::nullopt;
    at += character.length;
  }
  return count;
}

std::string_view strip_end(std::string_view text) {
  constexpr unsigned kTailMask = 0xC0;
  constexpr unsigned kTail = 0x80;
  while (!text.empty()) {
    std::size_t begin = text.size() - 1;
    while (begin > 0 && (static_cast<unsigned char>(text[begin]) & kTailMask) == kTail) --begin;
    const text::Decoded last = text::decode_utf8(text.data() + begin, text.data() + text.size());
    if (begin + last.length != text.size() || !is_space(last.code)) break;
    text.remove_suffix(last.length);
  }
  return text;
}

std::string_view strip(std::string_view text) { return strip_end(strip_start(text)); }

std::optional<Line> LineCursor::next() {
  if (position_ >= content_.size()) return std::nullopt;
  const std::size_t end = content_.find('\n', position_);
  Line line;
  line.ended = end != std::string_view::npos;
  line.text = content_.substr(position_, (line.ended ? end : content_.size()) - position_);
  line.offset = position_;
  line.number = ++number_;
  position_ += line.text.size() + (line.ended ? 1 : 0);
  if (line.text.ends_with('\r')) line.text.remove_suffix(1);
  return line;
}

}  // namespace quernel::eval
