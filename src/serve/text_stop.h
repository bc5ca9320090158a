// Text that grows piece by piece, shown as soon as it cannot be part of a stop text any more.
//
// Exact    the stop that is complete first counts (of several, the longest); text before it is shown, it and what follows are not. What is shown in
//          all does not depend on how the text was cut into pieces
// Threads  one thread at a time
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace quernel::serve {

class TextStop {
 public:
  // stops: not empty, UTF-8, so that what is held back begins at a character.
  explicit TextStop(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  // What can be shown now; nothing more after a stop.
  std::string push(std::string_view piece);
  // No more text comes: what was held back.
  std::string finish();
  [[nodiscard]] bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace quernel::serve
