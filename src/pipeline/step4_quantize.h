// Step 4: the long one. Block by block, site by site: statistics, solver, store; the quantized weights flow on.
//
// Exact    the stored modules depend on the job's identity alone: not on threads, memory plan, or how often the job was stopped
// Errors   invalid_argument: a NaN or infinite weight, naming the tensor; those of calibration, solver and store; interrupted
//          after the module in hand is stored
// Threads  one thread at a time
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "pipeline/job.h"
#include "pipeline/module_store.h"
#include "pipeline/step1_load.h"
#include "pipeline/step2_sample.h"
#include "pipeline/step3_plan.h"
#include "pipeline/work_dir.h"
#include "sys/memory.h"
#include "sys/progress.h"
#include "sys/thread_pool.h"

namespace quernel::pipeline {

struct QuantizeContext {
  const QuantizeJob& job;
  const LoadedSource& source;
  const JobPlan& plan;
  const CalibrationSet* calibration;  // null for methods without statistics
  const WorkDir& work;
  const ModuleStore& store;
  sys::ThreadPool& pool;
  sys::MemoryBudget& budget;
  sys::ProgressSink& progress;
};

// Reports of all modules in model order.
Result<std::vector<ModuleReport>> step4_quantize(const QuantizeContext& context);

}  // namespace quernel::pipeline
