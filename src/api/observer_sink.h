// The public observer as the sink that the floors below report to.
#pragma once

#include <string>

#include "quernel/quernel.h"
#include "sys/progress.h"

namespace quernel::api {

class ObserverSink final : public sys::ProgressSink {
 public:
  explicit ObserverSink(const Observer& observer) : observer_(observer) {}

  void on_progress(const sys::ProgressEvent& event) override {
    if (!observer_.on_progress) return;
    observer_.on_progress({event.stage, event.item, event.done, event.total, event.detail, event.item_seconds,
                           event.remaining_seconds, event.resident_bytes});
  }
  void on_note(const std::string& text) override {
    if (observer_.on_note) observer_.on_note(text);
  }
  void on_warning(const std::string& text) override {
    if (observer_.on_warning) observer_.on_warning(text);
  }

 private:
  const Observer& observer_;
};

}  // namespace quernel::api
