// One quantized linear of a checkpoint: which of its tensors hold what, found and checked by name and shape alone.
//
// Names    our own: P.codes, P.groups, P.scales, and P.outlier_index with P.outlier_values where there are any; GPTQ: P.qweight, P.qzeros, P.scales, P.g_idx; AWQ: P.qweight, P.qzeros,
//          P.scales; compressed-tensors: P.weight_packed, P.weight_scale, P.weight_zero_point, P.weight_shape, P.weight_g_idx
// Errors   corrupt with tensor, expected and found shape; unsupported
// Threads  pure functions
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "codec/integer_matrix.h"
#include "model/checkpoint.h"
#include "model/quantization_config.h"

namespace quernel::model {

using TensorLookup = std::function<const TensorInfo*(const std::string& name)>;  // null: no such tensor
using ViewLookup = std::function<Result<TensorView>(const std::string& name)>;

struct PackedModule {
  std::string name;
  PackedLayout layout = PackedLayout::gptq;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  WeightScheme scheme;
  codec::GptqZeros zeros = codec::GptqZeros::v1;
  DType scale_dtype = DType::f16;
  bool has_zero_points = false;
  bool has_g_idx = false;
  bool has_shape = false;
  bool has_outliers = false;

  [[nodiscard]] std::vector<std::string> tensors() const;  // those that the file holds, codes first
};

// Nothing where the file holds no codes for the module.
Result<std::optional<PackedModule>> find_packed_module(const QuantizationConfig& config, const std::string& module,
                                                       std::int64_t rows, std::int64_t cols,
                                                       const TensorLookup& lookup);
// Validated: codes and groups within bounds, scales finite and positive.
Result<codec::IntegerMatrix> read_packed_module(const PackedModule& module, const ViewLookup& view);

}  // namespace quernel::model
