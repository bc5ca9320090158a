// A tensor somewhere in memory, of any element type: what containers hand out. Does not own.
//
// Layout   row-major, contiguous, little-endian; data need not be aligned to its element (use load functions or memcpy)
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "tensor/dtype.h"
#include "tensor/matrix.h"

namespace quernel {

using Shape = std::vector<std::int64_t>;  // outermost first

std::string to_string(const Shape& shape);  // "[576, 1536]"

struct TensorView {
  DType dtype = DType::f32;
  Shape shape;
  std::span<const std::byte> bytes;

  [[nodiscard]] std::int64_t num_elements() const;
};

// Values as float, any float or 8-bit to 32-bit integer type. Errors: unsupported for other types.
Status to_float(const TensorView& tensor, std::span<float> out);
// A tensor of rank 1 (one row) or 2 as an owned matrix.
Result<Matrix> to_matrix(const TensorView& tensor);

// Index of the first value that is NaN or infinite, or -1.
std::int64_t first_nonfinite(std::span<const float> values);

}  // namespace quernel
