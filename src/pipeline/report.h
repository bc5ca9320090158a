// What a job did, as report.json and layers.csv beside the model and as text for the terminal. Keys are stable: docs/report.md.
//
// Threads  pure functions
#pragma once

#include <string>

#include "base/json.h"
#include "pipeline/job.h"
#include "pipeline/step1_load.h"
#include "pipeline/step3_plan.h"

namespace quernel::pipeline {

Json report_json(const QuantizeJob& job, const LoadedSource& source, const JobPlan& plan, const JobReport& report);
std::string layers_csv(const JobReport& report);
std::string report_text(const JobReport& report);

}  // namespace quernel::pipeline
