#include "codec/int_pack_scales.h"

#include <fmt/format.h>

#include "codec/int_pack_checks.h"
#include "tensor/half.h"

namespace quernel::codec {

Result<std::vector<std::uint16_t>> half_scales_by_group(const IntegerMatrix& matrix) {
  const std::int64_t groups = matrix.num_groups();
  std::vector<std::uint16_t> out(matrix.scales.size());
  for (std::int64_t row = 0; row < matrix.rows; ++row) {
    for (std::int64_t group = 0; group < groups; ++group) {
      const float scale = matrix.scales[static_cast<std::size_t>(row * groups + group)];
      const std::uint16_t half = float_to_f16(scale);
      if (f16_to_float(half) != scale) {
        return Error(Fault::invalid_argument,
                     fmt::format("scale {} of row {}, group {} is no F16 value", scale, row, group))
            .in_field("scales")
            .with_hint("quantize with F16 scales, or export compressed-tensors");
      }
      out[static_cast<std::size_t>(group * matrix.rows + row)] = half;
    }
  }
  return out;
}

Result<std::vector<float>> read_scales_by_group(const TensorView& tensor, std::int64_t rows, std::int64_t groups,
                                                const std::string& field) {
  QUERNEL_TRY(const std::vector<float> stored, read_scales(tensor, {groups, rows}, field));
  std::vector<float> out(stored.size());
  for (std::int64_t group = 0; group < groups; ++group) {
    for (std::int64_t row = 0; row < rows; ++row) {
      out[static_cast<std::size_t>(row * groups + group)] = stored[static_cast<std::size_t>(group * rows + row)];
    }
  }
  return out;
}

}  // namespace quernel::codec
