// What the readers of packed layouts check before they touch a byte. For int_pack_*.cpp only.
//
// Errors   corrupt, with the tensor's suffix as field, expected and found
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "tensor/tensor_view.h"

namespace quernel::codec {

// Element type, shape and number of bytes are as expected; U32 passes for I32, since both are mere bit containers here.
Status expect_tensor(const TensorView& tensor, DType dtype, const Shape& shape, const std::string& field);

// rows, cols > 0 and their product in range; bits 2 .. 8; group_size -1 or above 0.
Status expect_layout(std::int64_t rows, std::int64_t cols, int bits, std::int64_t group_size);

// F16, BF16 or F32 scales as float, finite and above 0.
Result<std::vector<float>> read_scales(const TensorView& tensor, const Shape& shape, const std::string& field);

// I32 group numbers [cols]; negative ones count from the end.
Result<std::vector<std::int32_t>> read_groups(const TensorView& tensor, std::int64_t cols, std::int64_t num_groups,
                                              const std::string& field);

}  // namespace quernel::codec
