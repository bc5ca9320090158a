// Step 3b: where transforms are asked for, the source is changed by them, written to <work>/prepared as a plain checkpoint, held
// against the source, and takes its place: steps 4 to 6 know nothing of transforms.
//
// Check    logits of the changed model within kPreparedTolerance of the source's, on windows of the calibration text. A source in
//          fp32: of the written folder itself. Others: before their dense tensors are rounded to the source's type, since that
//          rounding is no fault of the transform; the difference after it is reported too
// Resume   prepared/prepared.json is written last and holds the job's identity: a folder with it is used as it is, any other is
//          made anew
// Errors   unsupported: a transform that would change this architecture's function; verification_failed: logits differ;
//          those of calibration, reading and writing; interrupted
// Threads  one thread at a time
#pragma once

#include <optional>

#include "base/result.h"
#include "pipeline/job.h"
#include "pipeline/step1_load.h"
#include "pipeline/step2_sample.h"
#include "pipeline/step3_plan.h"
#include "pipeline/work_dir.h"
#include "sys/memory.h"
#include "sys/progress.h"
#include "sys/thread_pool.h"

namespace quernel::pipeline {

constexpr double kPreparedTolerance = 1e-3;

struct PrepareContext {
  const LoadedSource& source;
  const JobPlan& plan;
  const CalibrationSet* calibration;  // null where neither method nor transform needs one
  runtime::Precision precision;
  const Json& identity;  // of the job
  const WorkDir& work;
  sys::ThreadPool& pool;
  sys::MemoryBudget& budget;
  sys::ProgressSink& progress;
};

struct Prepared {
  LoadedSource source;  // checkpoint: the prepared one; files, bytes and counts: those of the user's
  PrepareReport report;
};

// Nothing where the job has no transform.
Result<std::optional<Prepared>> step3b_prepare(const PrepareContext& context);

}  // namespace quernel::pipeline
