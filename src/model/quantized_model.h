// The result of quantization: plain data that writers and the runtime read without knowing any algorithm.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "codec/integer_matrix.h"

namespace quernel::model {

// How the quantized modules were made; becomes quantization_config.
struct QuantizationInfo {
  std::string method;  // "gptq", "rtn"
  int bits = 4;
  std::int64_t group_size = 128;  // -1: one group a row
  bool symmetric = false;
  bool act_order = false;
  bool static_groups = true;
  double damp = 0.01;
  DType scale_dtype = DType::f16;
  bool outliers = false;  // modules may hold single weights beside their codes (codec/integer_matrix.h)
  std::string format;  // as a checkpoint names it: "gptq", "gptq_v2", "gemm", "pack-quantized"; empty for a new result
};

struct QuantizedModel {
  QuantizationInfo info;
  std::map<std::string, codec::IntegerMatrix> modules;  // by module name; modules not listed stay dense
};

}  // namespace quernel::model
