// Progress on standard error: a live line on a terminal, one line an item elsewhere.
#pragma once

#include <memory>
#include <string>

#include "quernel/quernel.h"

namespace quernel::app {

class ProgressPrinter {
 public:
  // mode: auto, plain, none. Colours and live lines only on a terminal without NO_COLOR or TERM=dumb.
  explicit ProgressPrinter(const std::string& mode);
  ~ProgressPrinter();  // ends the live line
  ProgressPrinter(const ProgressPrinter&) = delete;
  ProgressPrinter& operator=(const ProgressPrinter&) = delete;

  [[nodiscard]] api::Observer observer();

 private:
  void show(const api::Progress& progress);
  void print_line(const std::string& text);
  void clear_live_line();

  bool silent_ = false;
  bool live_ = false;
  bool line_shown_ = false;
};

}  // namespace quernel::app
