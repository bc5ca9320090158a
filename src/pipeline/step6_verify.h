// Step 6: reads back what step 5 wrote and holds it against what the solver computed: bytes, then logits.
//
// Errors  verification_failed with the first difference
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "export/hf_checkpoint.h"
#include "export/verify.h"
#include "pipeline/job.h"
#include "pipeline/logit_check.h"
#include "pipeline/module_store.h"
#include "pipeline/step1_load.h"
#include "pipeline/step3_plan.h"
#include "sys/progress.h"
#include "sys/thread_pool.h"

namespace quernel::pipeline {

Result<VerifyReport> step6_verify(const LoadedSource& source, const JobPlan& plan, const ModuleStore& store,
                                  const std::vector<exporting::ExportedCheckpoint>& written, sys::ThreadPool& pool,
                                  sys::ProgressSink& progress);

// The same of matrices from anywhere; `logits` judges one folder. Adds up over the folders.
struct LogitVerdict {
  double max_abs = 0.0;
  double tolerance = 0.0;
};
using LogitJudge = std::function<Result<LogitVerdict>(const std::string& folder)>;
Result<VerifyReport> verify_written(const exporting::ExportInput& expected,
                                    const std::vector<exporting::ExportedCheckpoint>& written, const LogitJudge& logits,
                                    sys::ProgressSink& progress);

// Equal to the last bit, or an error.
Result<LogitVerdict> judge_logits(const LogitDifference& difference, const std::string& folder);

// Logits of a checkpoint against those of its source with the given matrices in place of the quantized modules.
Result<LogitVerdict> check_logits(const model::Checkpoint& source, const std::string& folder,
                                  const exporting::MatrixReader& read, sys::ThreadPool& pool);

}  // namespace quernel::pipeline
