// quantization_config of a checkpoint: which packed layout its modules have, and with which numbers.
//
// Reads    our own ("quernel", docs/format.md); quant_method "gptq" and "awq" with gemm tensors (config.json or a file of
//          their own); "compressed-tensors" with weights in pack-quantized. Patterns that name modules (dynamic, targets,
//          ignore, modules_to_not_convert) are not matched: a module is quantized where the file holds its codes, and its
//          numbers are the stated ones that fit the shapes of its tensors.
// Errors   unsupported (another method or layout, quantized activations, transforms that act at run time), corrupt,
//          not_found, with the field
// Threads  pure functions
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "codec/int_pack_gptq.h"
#include "model/quantized_model.h"

namespace quernel::model {

enum class PackedLayout { gptq, pack_quantized, two_level, awq };

// Of quant_method "quernel"; a reader refuses any other.
inline constexpr int kNativeFormatVersion = 1;
inline constexpr int kNativeFormatWithOutliers = 2;  // where some module has a list of outliers

struct WeightScheme {
  int bits = 4;
  std::int64_t group_size = 128;  // -1: one group a row
  bool symmetric = true;
};

struct QuantizationConfig {
  PackedLayout layout = PackedLayout::gptq;
  QuantizationInfo info;  // of the first scheme; scale_dtype is for the reader of the tensors to fill
  codec::GptqZeros zeros = codec::GptqZeros::v1;
  bool planar = false;                // "gptq_p": 3 bits are laid out in planes
  std::vector<WeightScheme> schemes;  // at least one; the first is the general one
};

// `object` is the value of quantization_config.
Result<QuantizationConfig> read_quantization_config(const Json& object);

// The stated scheme whose numbers give these shapes. packed_words: along K. num_groups: of the scales, 0 where one
// scale holds for all. symmetric: nothing where the shapes do not tell (GPTQ). Errors: corrupt, naming both.
struct PackedShapes {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t packed_words = 0;
  std::int64_t num_groups = 0;
  std::optional<bool> symmetric;
};
Result<WeightScheme> match_scheme(const QuantizationConfig& config, const PackedShapes& shapes);

}  // namespace quernel::model
