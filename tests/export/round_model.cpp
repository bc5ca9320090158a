#include "export/round_model.h"

#include <algorithm>
#include <cmath>

#include "tensor/half.h"

namespace quernel::test {
namespace {

float rounded_scale(float scale, DType dtype) {
  if (dtype == DType::f16) return f16_to_float(float_to_f16(scale));
  if (dtype == DType::bf16) return bf16_to_float(float_to_bf16(scale));
  return scale;
}

struct Range {
  float low = 0.0F;
  float high = 0.0F;
};

void set_grid(codec::IntegerMatrix& matrix, std::size_t place, Range range) {
  const auto top = static_cast<float>((1 << matrix.bits) - 1);
  const float half_width = std::max(-range.low, range.high);
  float scale = matrix.symmetric ? 2.0F * half_width / top : (range.high - range.low) / top;
  scale = rounded_scale(scale, matrix.scale_dtype);
  if (!(scale > 0.0F)) scale = 1.0F;  // a group of zeros
  const float zero = matrix.symmetric ? static_cast<float>(1 << (matrix.bits - 1)) : std::round(-range.low / scale);
  matrix.scales[place] = scale;
  matrix.zero_points[place] = static_cast<std::uint8_t>(std::clamp(zero, 0.0F, top));
}

}  // namespace

model::QuantizationInfo tiny_info(int bits, std::int64_t group_size, bool symmetric) {
  model::QuantizationInfo info;
  info.method = "rtn";
  info.bits = bits;
  info.group_size = group_size;
  info.symmetric = symmetric;
  return info;
}

codec::IntegerMatrix round_matrix(ConstMatrixView weight, const model::QuantizationInfo& info) {
  codec::IntegerMatrix matrix;
  matrix.rows = weight.rows;
  matrix.cols = weight.cols;
  matrix.bits = info.bits;
  matrix.group_size = info.group_size == -1 ? weight.cols : info.group_size;
  matrix.symmetric = info.symmetric;
  matrix.scale_dtype = info.scale_dtype;
  matrix.group_of_column = codec::contiguous_groups(weight.cols, matrix.group_size);
  // 5 and the widths used here have no common divisor, so this deals every column once.
  if (info.act_order && !info.static_groups) {
    const std::vector<std::int32_t> plain = matrix.group_of_column;
    for (std::size_t k = 0; k < plain.size(); ++k) matrix.group_of_column[k] = plain[k * 5 % plain.size()];
  }
  const std::int64_t groups = matrix.num_groups();
  matrix.codes.resize(static_cast<std::size_t>(weight.rows * weight.cols));
  matrix.scales.resize(static_cast<std::size_t>(weight.rows * groups));
  matrix.zero_points.resize(matrix.scales.size());
  const auto top = static_cast<float>((1 << info.bits) - 1);
  for (std::int64_t row = 0; row < weight.rows; ++row) {
    std::vector<Range> ranges(static_cast<std::size_t>(groups));
    for (std::int64_t col = 0; col < weight.cols; ++col) {
      Range& range = ranges[static_cast<std::size_t>(matrix.group_of_column[static_cast<std::size_t>(col)])];
      range.low = std::min(range.low, weight(row, col));
      range.high = std::max(range.high, weight(row, col));
    }
    for (std::size_t group = 0; group < ranges.size(); ++group) {
      set_grid(matrix, static_cast<std::size_t>(row * groups) + group, ranges[group]);
    }
    for (std::int64_t col = 0; col < weight.cols; ++col) {
      const auto place = static_cast<std::size_t>(row * groups + matrix.group_of_column[static_cast<std::size_t>(col)]);
      const float code =
          std::nearbyint(weight(row, col) / matrix.scales[place]) + static_cast<float>(matrix.zero_points[place]);
      matrix.codes[static_cast<std::size_t>(row * weight.cols + col)] =
          static_cast<std::uint8_t>(std::clamp(code, 0.0F, top));
    }
  }
  return matrix;
}

Result<model::QuantizedModel> round_model(const model::Checkpoint& source, const model::QuantizationInfo& info) {
  model::QuantizedModel result;
  result.info = info;
  for (std::int64_t layer = 0; layer < source.config().num_layers; ++layer) {
    for (const model::LinearModule& module : model::linear_modules(source.config(), layer)) {
      QUERNEL_TRY(const Matrix weight, source.read_weight(module.name));
      result.modules.emplace(module.name, round_matrix(weight.view(), info));
    }
  }
  return result;
}

}  // namespace quernel::test
