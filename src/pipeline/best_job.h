// The best of several jobs: what `--method auto` and `--preprocess auto` mean.
//
// Candidates  methods that calibrate, crossed with the preprocessing that each may follow, where model, formats and bits allow it.
//             Each is a whole job, verified, in <output>.auto/<name>, judged by its mean divergence from the source on the same
//             held-out windows of the calibration text, with activations and cache rounded as the job simulates them
// Mix         one more candidate, made last: every block from the candidate whose block is nearest to the source's on those windows,
//             among those that keep the residual stream (pipeline/mixed_job.h)
// Keeps       the least divergence, of sane ones where any is. So it is never above that of the best candidate
// Report      "auto" in report.json: every candidate with its divergence, or why it could not be; the errors of the blocks
// Resume      finished candidates are read, not run again; killed after the last, the result is only moved
// Errors      those of run_job that are not one candidate's own (unsupported); unsupported where no candidate is left
// Threads     one at a time in a process
#pragma once

#include "base/result.h"
#include "pipeline/job.h"
#include "pipeline/run_job.h"
#include "sys/progress.h"

namespace quernel::pipeline {

// Whether the job leaves method or preprocessing to measurement.
bool asks_for_best(const QuantizeJob& job);

Result<JobOutcome> run_best_job(const QuantizeJob& job, sys::ProgressSink& progress);

}  // namespace quernel::pipeline
