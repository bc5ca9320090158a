// Step 3: everything resolved before the long work begins: the grid of each module, the job's identity, memory and disk.
//
// Errors  unsupported: an option the method or a format cannot hold, with the nearest that can be; out_of_memory,
//         out_of_disk with the numbers needed
#pragma once

#include <optional>
#include <string>

#include "base/json.h"
#include "base/result.h"
#include "model/quantized_model.h"
#include "pipeline/job.h"
#include "pipeline/step1_load.h"
#include "pipeline/step2_sample.h"
#include "quant/method.h"

namespace quernel::pipeline {

struct JobPlan {
  const quant::Method* method = nullptr;
  quant::GridSpec grid;  // group size resolved
  quant::SolverSpec solver;
  transform::TransformSpec transform;
  model::QuantizationInfo info;
  double nominal_bits_per_weight = 0.0;  // of the quantized modules
  std::string numerics;                  // instruction set, library, precision
};

// The method and grid that the job asks for, checked against the model; needs no calibration data.
Result<JobPlan> step3_plan(const QuantizeJob& job, const LoadedSource& source);

// The method or a transform looks at activations.
bool needs_calibration(const JobPlan& plan);

// The method's options as they were resolved, by name.
Json method_options(const JobPlan& plan);

// All that can change an output byte. `calibration` is absent for methods that need no statistics.
Json job_identity(const QuantizeJob& job, const LoadedSource& source, const JobPlan& plan,
                  const std::optional<CalibrationSet>& calibration);

}  // namespace quernel::pipeline
