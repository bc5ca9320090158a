// Where long work reports how far it is. Only the command line decides what becomes of it.
//
// Threads  a sink is called from one thread at a time
#pragma once

#include <cstdint>
#include <string>

namespace quernel::sys {

struct ProgressEvent {
  std::string stage;       // "quantize", "eval ppl", ...
  std::string item;        // "model.layers.3.self_attn.q_proj"; empty: a mere tick
  std::int64_t done = 0;   // items finished, this one included
  std::int64_t total = 0;  // 0: unknown
  std::string detail;      // "4 bit g64  loss 1.2e-3"
  double item_seconds = 0.0;
  double remaining_seconds = -1;  // below 0: unknown
  std::uint64_t resident_bytes = 0;
};

class ProgressSink {
 public:
  virtual ~ProgressSink() = default;
  virtual void on_progress(const ProgressEvent& event) = 0;
  virtual void on_note(const std::string& text) = 0;     // one line the user should see: a plan, a result
  virtual void on_warning(const std::string& text) = 0;  // a fall-back, a repaired input
};

// A sink that drops everything.
ProgressSink& null_progress();

}  // namespace quernel::sys
