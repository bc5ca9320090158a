// Scales stored group by group, [G, N], as the GPTQ and AWQ layouts have them. For int_pack_*.cpp only.
//
// Shapes   N = rows (out_features), G = groups; IntegerMatrix holds them [N, G]
// Exact    reading what was written gives the same scales
// Errors   writing: invalid_argument for a scale that half precision cannot hold; reading: those of read_scales
// Threads  pure functions
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "codec/integer_matrix.h"
#include "tensor/tensor_view.h"

namespace quernel::codec {

// F16 [G, N].
Result<std::vector<std::uint16_t>> half_scales_by_group(const IntegerMatrix& matrix);

// F16, BF16 or F32 [groups, rows] as float [rows, groups], finite and above 0.
Result<std::vector<float>> read_scales_by_group(const TensorView& tensor, std::int64_t rows, std::int64_t groups,
                                                const std::string& field);

}  // namespace quernel::codec
