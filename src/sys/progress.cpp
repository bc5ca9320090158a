#include "sys/progress.h"

namespace quernel::sys {

namespace {

class NullProgress final : public ProgressSink {
 public:
  void on_progress(const ProgressEvent&) override {}
  void on_note(const std::string&) override {}
  void on_warning(const std::string&) override {}
};

}  // namespace

ProgressSink& null_progress() {
  static NullProgress sink;
  return sink;
}

}  // namespace quernel::sys
