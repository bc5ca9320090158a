#include "codec/two_level.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "base/checked.h"
#include "codec/int_pack_checks.h"
#include "tensor/half.h"

namespace quernel::codec {
namespace {

constexpr unsigned kNibble = 4;
constexpr unsigned kLowMask = 0x0f;
constexpr int kBits = 4;

std::byte join(unsigned low, unsigned high) { return static_cast<std::byte>(low | high << kNibble); }

void unpack_codes(std::span<const std::byte> bytes, IntegerMatrix& matrix) {
  const auto row_bytes = static_cast<std::size_t>(ceil_div<std::int64_t>(matrix.cols, 2));
  const auto cols = static_cast<std::size_t>(matrix.cols);
  for (std::size_t row = 0; row < static_cast<std::size_t>(matrix.rows); ++row) {
    const std::byte* from = bytes.data() + row * row_bytes;
    std::uint8_t* to = matrix.codes.data() + row * cols;
    for (std::size_t k = 0; k < cols; ++k) {
      const auto pair = static_cast<unsigned>(from[k / 2]);
      to[k] = static_cast<std::uint8_t>(k % 2 == 0 ? pair & kLowMask : pair >> kNibble);
    }
  }
}

// Bits that no reader uses are 0, so that equal weights are equal bytes.
Status check_spare_bits(std::span<const std::byte> bytes, const IntegerMatrix& matrix) {
  if (matrix.cols % 2 == 0) return ok_status();
  const auto row_bytes = static_cast<std::size_t>(ceil_div<std::int64_t>(matrix.cols, 2));
  for (std::size_t end = row_bytes; end <= bytes.size(); end += row_bytes) {
    if (static_cast<unsigned>(bytes[end - 1]) <= kLowMask) continue;
    return Error(Fault::corrupt, fmt::format("a code past the last column of row {}", end / row_bytes - 1))
        .in_field("codes");
  }
  return ok_status();
}

void unpack_groups(std::span<const std::byte> bytes, IntegerMatrix& matrix) {
  matrix.levels->group_scales.resize(bytes.size());
  matrix.zero_points.resize(bytes.size());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto pair = static_cast<unsigned>(bytes[i]);
    matrix.zero_points[i] = static_cast<std::uint8_t>(pair & kLowMask);
    matrix.levels->group_scales[i] = static_cast<std::uint8_t>((pair >> kNibble) + 1);
  }
}

Status expect_list(const TwoLevelViews& views) {
  if (views.outlier_index.has_value() != views.outlier_values.has_value()) {
    return Error(Fault::corrupt, "half of a list of outliers")
        .in_field(views.outlier_index ? "outlier_values" : "outlier_index")
        .expect("places and values", "one of them");
  }
  if (!views.outlier_index) return ok_status();
  const Shape& shape = views.outlier_index->shape;
  const std::int64_t count = shape.empty() ? 0 : shape[0];
  if (count < 1 || count > kMaxOutliers) {
    return Error(Fault::corrupt, "a list of outliers of this length")
        .in_field("outlier_index")
        .expect(fmt::format("[1 .. {}, 2]", kMaxOutliers), quernel::to_string(shape));
  }
  QUERNEL_TRY_STATUS(expect_tensor(*views.outlier_index, DType::i32, {count, 2}, "outlier_index"));
  return expect_tensor(*views.outlier_values, DType::f32, {count}, "outlier_values");
}

void unpack_outliers(const TwoLevelViews& views, IntegerMatrix& matrix) {
  if (!views.outlier_index) return;
  const std::byte* index = views.outlier_index->bytes.data();
  const std::byte* value = views.outlier_values->bytes.data();
  matrix.outliers.resize(static_cast<std::size_t>(views.outlier_index->shape[0]));
  for (Outlier& one : matrix.outliers) {
    std::memcpy(&one.row, index, sizeof one.row);
    std::memcpy(&one.col, index + sizeof one.row, sizeof one.col);
    std::memcpy(&one.value, value, sizeof one.value);
    index += sizeof one.row + sizeof one.col;
    value += sizeof one.value;
  }
}

void multiply_levels(IntegerMatrix& matrix) {
  const auto groups = static_cast<std::size_t>(matrix.num_groups());
  matrix.scales.resize(matrix.zero_points.size());
  for (std::size_t i = 0; i < matrix.scales.size(); ++i) {
    matrix.scales[i] = matrix.levels->row_scales[i / groups] * static_cast<float>(matrix.levels->group_scales[i]);
  }
}

}  // namespace

std::vector<std::byte> two_level_codes(const IntegerMatrix& matrix) {
  const std::int64_t row_bytes = ceil_div<std::int64_t>(matrix.cols, 2);
  std::vector<std::byte> bytes(static_cast<std::size_t>(matrix.rows * row_bytes));
  for (std::int64_t row = 0; row < matrix.rows; ++row) {
    const std::uint8_t* from = matrix.codes.data() + row * matrix.cols;
    std::byte* to = bytes.data() + row * row_bytes;
    for (std::int64_t j = 0; j < row_bytes; ++j) {
      to[j] = join(from[2 * j], 2 * j + 1 < matrix.cols ? from[2 * j + 1] : 0U);
    }
  }
  return bytes;
}

std::vector<std::byte> two_level_groups(const IntegerMatrix& matrix) {
  QUERNEL_CHECK(matrix.levels.has_value() && matrix.has_contiguous_groups(), "a matrix of two levels");
  std::vector<std::byte> bytes(matrix.zero_points.size());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = join(matrix.zero_points[i], matrix.levels->group_scales[i] - 1U);
  }
  return bytes;
}

std::vector<std::byte> two_level_scales(const IntegerMatrix& matrix) {
  QUERNEL_CHECK(matrix.levels.has_value(), "a matrix of two levels");
  const std::vector<float>& scales = matrix.levels->row_scales;
  std::vector<std::uint16_t> halves(scales.size());
  if (matrix.scale_dtype == DType::f16) {
    float_to_f16(scales, halves);
  } else {
    float_to_bf16(scales, halves);
  }
  const auto bytes = std::as_bytes(std::span(halves));
  return {bytes.begin(), bytes.end()};
}

std::vector<std::byte> outlier_index(const IntegerMatrix& matrix) {
  std::vector<std::int32_t> places;
  for (const Outlier& one : matrix.outliers) places.insert(places.end(), {one.row, one.col});
  const auto bytes = std::as_bytes(std::span(places));
  return {bytes.begin(), bytes.end()};
}

std::vector<std::byte> outlier_values(const IntegerMatrix& matrix) {
  std::vector<float> values;
  for (const Outlier& one : matrix.outliers) values.push_back(one.value);
  const auto bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

Result<IntegerMatrix> unpack_two_level(const TwoLevelViews& views, const TwoLevelLayout& layout) {
  QUERNEL_TRY_STATUS(expect_layout(layout.rows, layout.cols, kBits, layout.group_size));
  IntegerMatrix matrix;
  matrix.rows = layout.rows;
  matrix.cols = layout.cols;
  matrix.bits = kBits;
  matrix.group_size = layout.group_size == -1 ? layout.cols : layout.group_size;
  matrix.symmetric = layout.symmetric;
  matrix.scale_dtype = views.scales.dtype;
  matrix.levels.emplace();
  const std::int64_t groups = matrix.num_groups();
  QUERNEL_TRY_STATUS(
      expect_tensor(views.codes, DType::u8, {layout.rows, ceil_div<std::int64_t>(layout.cols, 2)}, "codes"));
  QUERNEL_TRY_STATUS(expect_tensor(views.groups, DType::u8, {layout.rows, groups}, "groups"));
  QUERNEL_TRY(matrix.levels->row_scales, read_scales(views.scales, {layout.rows}, "scales"));
  QUERNEL_TRY_STATUS(expect_list(views));
  matrix.codes.resize(static_cast<std::size_t>(layout.rows * layout.cols));
  matrix.group_of_column = contiguous_groups(layout.cols, matrix.group_size);
  QUERNEL_TRY_STATUS(check_spare_bits(views.codes.bytes, matrix));
  unpack_codes(views.codes.bytes, matrix);
  unpack_groups(views.groups.bytes, matrix);
  multiply_levels(matrix);
  unpack_outliers(views, matrix);
  QUERNEL_TRY_STATUS(validate(matrix));
  return matrix;
}

}  // namespace quernel::codec
