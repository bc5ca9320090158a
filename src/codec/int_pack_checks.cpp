#include "codec/int_pack_checks.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "base/checked.h"

namespace quernel::codec {
namespace {

std::string describe(DType dtype, const Shape& shape) {
  return fmt::format("{} {}", to_string(dtype), to_string(shape));
}

bool same_container(DType found, DType expected) {
  return found == expected || (expected == DType::i32 && found == DType::u32);
}

}  // namespace

Status expect_tensor(const TensorView& tensor, DType dtype, const Shape& shape, const std::string& field) {
  std::int64_t elements = 1;
  for (const std::int64_t size : shape) elements *= size;
  const bool fits = same_container(tensor.dtype, dtype) && tensor.shape == shape &&
                    tensor.bytes.size() == static_cast<std::size_t>(elements) * size_of(dtype);
  if (fits) return ok_status();
  return Error(Fault::corrupt, "packed tensor has another type or shape than the module needs")
      .in_field(field)
      .expect(describe(dtype, shape), describe(tensor.dtype, tensor.shape));
}

Status expect_layout(std::int64_t rows, std::int64_t cols, int bits, std::int64_t group_size) {
  constexpr std::int64_t kMaxSide = std::int64_t{1} << 30;  // keeps rows * cols * 8 inside int64
  if (rows <= 0 || cols <= 0 || rows > kMaxSide || cols > kMaxSide) {
    return Error(Fault::corrupt, fmt::format("quantized module of shape [{}, {}]", rows, cols)).in_field("shape");
  }
  if (bits < 2 || bits > 8) {
    return Error(Fault::unsupported, fmt::format("codes of {} bits", bits))
        .in_field("bits")
        .expect("2 .. 8", fmt::to_string(bits));
  }
  if (group_size != -1 && group_size <= 0) {
    return Error(Fault::corrupt, "group size is neither -1 nor above 0")
        .in_field("group_size")
        .expect("-1 or above 0", fmt::to_string(group_size));
  }
  return ok_status();
}

Result<std::vector<float>> read_scales(const TensorView& tensor, const Shape& shape, const std::string& field) {
  if (tensor.dtype != DType::f16 && tensor.dtype != DType::bf16 && tensor.dtype != DType::f32) {
    return Error(Fault::unsupported, "scales of this type")
        .in_field(field)
        .expect("F16, BF16 or F32", std::string(to_string(tensor.dtype)));
  }
  QUERNEL_TRY_STATUS(expect_tensor(tensor, tensor.dtype, shape, field));
  std::vector<float> scales(static_cast<std::size_t>(tensor.num_elements()));
  QUERNEL_TRY_STATUS(to_float(tensor, scales));
  for (std::size_t i = 0; i < scales.size(); ++i) {
    if (std::isfinite(scales[i]) && scales[i] > 0.0F) continue;
    return Error(Fault::corrupt, fmt::format("scale {} is not a positive number", i))
        .in_field(field)
        .expect("finite, above 0", fmt::to_string(scales[i]));
  }
  return scales;
}

Result<std::vector<std::int32_t>> read_groups(const TensorView& tensor, std::int64_t cols, std::int64_t num_groups,
                                              const std::string& field) {
  QUERNEL_TRY_STATUS(expect_tensor(tensor, DType::i32, {cols}, field));
  std::vector<std::int32_t> groups(static_cast<std::size_t>(cols));
  std::memcpy(groups.data(), tensor.bytes.data(), tensor.bytes.size());
  for (std::size_t k = 0; k < groups.size(); ++k) {
    const std::int64_t group = groups[k] < 0 ? groups[k] + num_groups : groups[k];
    if (group < 0 || group >= num_groups) {
      return Error(Fault::corrupt, fmt::format("column {} belongs to no group", k))
          .in_field(field)
          .expect(fmt::format("0 .. {}", num_groups - 1), fmt::to_string(groups[k]));
    }
    groups[k] = static_cast<std::int32_t>(group);
  }
  return groups;
}

}  // namespace quernel::codec
