// A progress sink that passes everything on and keeps the warnings for the report.
//
// Threads  as the sink behind it
#pragma once

#include <string>
#include <vector>

#include "sys/progress.h"

namespace quernel::pipeline {

class RecordingSink final : public sys::ProgressSink {
 public:
  explicit RecordingSink(sys::ProgressSink& next) : next_(next) {}
  void on_progress(const sys::ProgressEvent& event) override { next_.on_progress(event); }
  void on_note(const std::string& text) override { next_.on_note(text); }
  void on_warning(const std::string& text) override {
    warnings_.push_back(text);
    next_.on_warning(text);
  }
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  sys::ProgressSink& next_;
  std::vector<std::string> warnings_;
};

}  // namespace quernel::pipeline
