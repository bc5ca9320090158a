// Step 2: calibration text to calibration tokens.
//
// Errors  those of calib/text_source.h, calib/sampling.h and of the model's tokenizer
#pragma once

#include "base/json.h"
#include "base/result.h"
#include "calib/sampling.h"
#include "pipeline/job.h"
#include "pipeline/step1_load.h"
#include "sys/progress.h"

namespace quernel::pipeline {

struct CalibrationSet {
  calib::CalibrationSamples samples;
  Json description;  // name, SHA-256 of text and token ids, counts: for the report and the job's identity
};

Result<CalibrationSet> step2_sample(const QuantizeJob& job, const LoadedSource& source, sys::ProgressSink& progress);

}  // namespace quernel::pipeline
