// quantization_config of AWQ checkpoints: quant_method "awq", or a quant_config.json of AutoAWQ's that names no method.
//
// Reads    version gemm in any case, and exllama and ipex, which store its tensors; zero_point true or false
// Errors   unsupported (versions with other tensors, other bits than 4), corrupt, not_found, with the field
// Threads  pure functions
#pragma once

#include <string>

#include "base/json.h"
#include "base/result.h"
#include "model/quantization_config.h"

namespace quernel::model {

// A name that only AWQ's tools give to `version`, in any case, readable or not.
bool is_awq_version(const std::string& version);

Result<QuantizationConfig> read_awq_config(const Json& object);

}  // namespace quernel::model
