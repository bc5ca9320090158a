// Step 7: is the result still a language model? Answers of source and result to the same prompts (eval/sanity.h) and, where a limit
// is given, their divergence on calibration text that calibration did not see.
//
// Memory   one model at a time, dequantized to fp32; both for the divergence. Skipped, with a warning, where the ceiling is lower
// Errors   verification_failed: a limit of the job is passed (the report says so too); those of the runtime
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "pipeline/job.h"
#include "pipeline/step1_load.h"
#include "pipeline/step2_sample.h"
#include "sys/progress.h"
#include "sys/thread_pool.h"

namespace quernel::pipeline {

// `folder`: the first written checkpoint.
Result<JudgeReport> step7_judge(const QuantizeJob& job, const LoadedSource& source, const std::string& folder,
                                const std::optional<CalibrationSet>& calibration, sys::ThreadPool& pool,
                                sys::ProgressSink& progress);

// What the job's limits say of it.
Status check_judgement(const QuantizeJob& job, const JudgeReport& report);

}  // namespace quernel::pipeline
