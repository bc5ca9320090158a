// Step 1: the source model, its identity, and which of its modules will be quantized.
//
// Errors  those of model::Checkpoint; invalid_argument for a bad pattern, or where nothing is left to quantize; unsupported
//         where the source is quantized already
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "model/checkpoint.h"
#include "model/modules.h"
#include "pipeline/fingerprint.h"
#include "pipeline/job.h"

namespace quernel::pipeline {

struct LoadedSource {
  model::Checkpoint checkpoint;
  std::vector<FileIdentity> files;
  std::vector<std::vector<model::LinearModule>> layers;  // [num_layers]: the modules to quantize, in checkpoint order
  std::int64_t parameters = 0;                           // of all tensors
  std::int64_t quantized_parameters = 0;
  std::uint64_t bytes = 0;  // of the weight files
};

Result<LoadedSource> step1_load(const QuantizeJob& job);

}  // namespace quernel::pipeline
