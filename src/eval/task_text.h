// Text of task files: lines, characters, white space.
//
// Exact    characters are Unicode code points; white space is what Python's str.strip() takes away, because the
//          definitions of the tasks are written with it: White_Space and U+001C to U+001F
// Threads  pure functions; a cursor belongs to one thread
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace quernel::eval {

// Nothing where the text is not UTF-8.
std::optional<std::int64_t> count_characters(std::string_view text);

std::string_view strip_end(std::string_view text);
std::string_view strip(std::string_view text);

struct Line {
  std::string_view text;     // without its break, \n or \r\n
  std::int64_t number = 0;   // from 1
  std::uint64_t offset = 0;  // bytes from the start of the content
  bool ended = false;        // by a break; only the last line may lack one
};

class LineCursor {
 public:
  explicit LineCursor(std::string_view content) : content_(content) {}
  std::optional<Line> next();  // nothing at the end; a break at the end begins no further line

 private:
  std::string_view content_;
  std::size_t position_ = 0;
  std::int64_t number_ = 0;
};

}  // namespace quernel::eval
