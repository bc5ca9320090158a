// One more candidate for pipeline/best_job: every block from the finished candidate whose block is nearest to the source's.
//
// Choice   by pipeline/block_errors.h, on the held-out windows that step 7 judges on
// Written  by the writers of the job's formats (pipeline/block_mix.h), read back, and judged as every candidate is
// Refused  where one candidate is nearest in every block, or a dense tensor cannot take another's place
// Resume   a finished mix of the same candidates is read, not made again; an unfinished one is made anew
// Report   report.json as of any job; "method" names the candidates, every row of "layers" the one that it is of
// Errors   those of the steps
// Threads  one at a time in a process
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "pipeline/job.h"
#include "sys/progress.h"

namespace quernel::pipeline {

// A candidate that has run; its output is where the job says.
struct MixPart {
  std::string name;
  QuantizeJob job;
};

struct MixOutcome {
  std::string refused;          // not empty: there is no mix, and why
  Json blocks = Json::array();  // by layer: {"layer", "errors": {candidate: error}, "taken": candidate}
};

// job: what the user asked for, with `output` as the folder of the mix. Two parts or more.
Result<MixOutcome> run_mixed_job(const QuantizeJob& job, const std::vector<MixPart>& parts,
                                 sys::ProgressSink& progress);

// Is the output a whole mix of just these candidates? Their own outputs need not be there any more.
Result<bool> is_finished_mix(const QuantizeJob& job, const std::vector<MixPart>& parts);

}  // namespace quernel::pipeline
