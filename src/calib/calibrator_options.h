// What calibration is to measure, how precisely, and with what.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/precision.h"
#include "runtime/simulated.h"
#include "sys/memory.h"
#include "sys/thread_pool.h"

namespace quernel::calib {

enum class Drift {
  none,    // one stream
  inputs,  // LayerStats::input_drift at every site
  stream,  // output_drift at the sites whose output joins the residual stream, input_drift at the others (and at all of an
           // architecture that normalises outputs first)
};

struct CalibratorOptions {
  Drift drift = Drift::none;
  runtime::Precision precision = runtime::Precision::bf16;
  sys::ThreadPool* pool = nullptr;  // must be given; outlives the calibrator
  sys::MemoryBudget* budget =
      nullptr;               // null: no ceiling; else the plan is chosen by, and reserved from, what is free in it
  std::string spill_folder;  // existing folder; used only where the plan spills
  // Low-bit activations and cache as the runtime will have them: the statistics are then those of rounded inputs.
  runtime::SimulatedBits simulated{};
  bool channel_stats = false;    // LayerStats::mean_abs, max_abs and max_abs_keys too
  std::int64_t sample_rows = 0;  // LayerStats::sample has at most this many rows
  bool probe = false;            // LayerStats::probe of Site::mlp_out
};

}  // namespace quernel::calib
