// Step 5: the checkpoint in every format asked for, streamed from the store.
//
// Errors  those of export/hf_checkpoint.h
#pragma once

#include <vector>

#include "base/result.h"
#include "export/hf_checkpoint.h"
#include "pipeline/job.h"
#include "pipeline/module_store.h"
#include "pipeline/step1_load.h"
#include "pipeline/step3_plan.h"
#include "sys/progress.h"

namespace quernel::pipeline {

// Names of the modules that the job quantizes, in model order.
std::vector<std::string> module_names(const LoadedSource& source);

// Reads modules from the store, keeping the last one: writers ask for it once for each of its tensors.
exporting::MatrixReader store_reader(const ModuleStore& store);

exporting::ExportOptions export_options(const QuantizeJob& job);

Result<std::vector<exporting::ExportedCheckpoint>> step5_write(const QuantizeJob& job, const LoadedSource& source,
                                                               const JobPlan& plan, const ModuleStore& store,
                                                               sys::ProgressSink& progress);

}  // namespace quernel::pipeline
