#include "serve/text_stop.h"

#include <algorithm>
#include <utility>

namespace quernel::serve {
namespace {

// The longest end of `text` that begins `stop` without being all of it.
std::size_t begun(std::string_view text, std::string_view stop) {
  for (std::size_t size = std::min(text.size(), stop.size() - 1); size > 0; --size)
    if (text.substr(text.size() - size) == stop.substr(0, size)) return size;
  return 0;
}

}  // namespace

std::string TextStop::push(std::string_view piece) {
  if (stopped_) return {};
  held_ += piece;
  std::size_t start = std::string::npos;
  std::size_t end = std::string::npos;
  std::size_t open = 0;
  for (const std::string& stop : stops_) {
    open = std::max(open, begun(held_, stop));
    const std::size_t at = held_.find(stop);
    if (at == std::string::npos || at + stop.size() > end || (at + stop.size() == end && at > start)) continue;
    start = at;
    end = at + stop.size();
  }
  stopped_ = start != std::string::npos;
  std::string shown = held_.substr(0, stopped_ ? start : held_.size() - open);
  held_.erase(0, stopped_ ? held_.size() : shown.size());
  return shown;
}

std::string TextStop::finish() { return std::exchange(held_, {}); }

}  // namespace quernel::serve
