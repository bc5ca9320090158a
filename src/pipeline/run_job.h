// A quantization job from source to verified checkpoint: the steps in order, and what may stop or resume them.
//
// Errors  those of the steps; incompatible_state where the output or the work directory is another job's
// Threads one job at a time in a process
#pragma once

#include <string>

#include "base/json.h"
#include "base/result.h"
#include "pipeline/job.h"
#include "sys/progress.h"

namespace quernel::pipeline {

struct JobOutcome {
  JobReport report;
  Json json;         // report.json
  std::string text;  // for the terminal
};

// What a job says that met its own finished output.
JobOutcome already_done(const std::string& output);

Result<JobOutcome> run_job(const QuantizeJob& job, sys::ProgressSink& progress);

}  // namespace quernel::pipeline
