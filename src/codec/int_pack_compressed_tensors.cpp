#include "codec/int_pack_compressed_tensors.h"

#include <fmt/format.h>

#include <cstring>

#include "codec/int_pack.h"
#include "codec/int_pack_checks.h"
#include "tensor/half.h"

namespace quernel::codec {
namespace {

// Libraries before 0.17 stored 32 / bits codes a word. The widths tell; where they agree (2, 4, 8 bits, some short
// rows) so do the bits, or nothing can tell and the order is taken to be the dense one.
bool has_older_order(const PackQuantizedViews& views, const PackQuantizedLayout& layout) {
  const auto differs = [&](std::int64_t count) {
    return packed_words(count, layout.bits) != padded_words(count, layout.bits);
  };
  if (differs(layout.cols))
    return views.weight_packed.shape == Shape{layout.rows, padded_words(layout.cols, layout.bits)};
  if (!views.weight_zero_point || views.weight_zero_point->shape.empty() || !differs(layout.rows)) return false;
  return views.weight_zero_point->shape.front() == padded_words(layout.rows, layout.bits);
}

Result<std::vector<std::uint8_t>> read_codes(const TensorView& packed, const PackQuantizedLayout& layout, bool older) {
  const std::int64_t words = older ? padded_words(layout.cols, layout.bits) : packed_words(layout.cols, layout.bits);
  QUERNEL_TRY_STATUS(expect_tensor(packed, DType::i32, {layout.rows, words}, "weight_packed"));
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(layout.rows * layout.cols));
  if (!older) {
    unpack_rows(packed.bytes, layout.rows, layout.cols, layout.bits, codes);
    return codes;
  }
  const auto row_bytes = 4 * static_cast<std::size_t>(words);
  const auto row_codes = static_cast<std::size_t>(layout.cols);
  for (std::size_t row = 0; row < static_cast<std::size_t>(layout.rows); ++row) {
    unpack_padded(packed.bytes.subspan(row * row_bytes, row_bytes), layout.bits,
                  std::span(codes).subspan(row * row_codes, row_codes));
  }
  return codes;
}

// fields [groups, rows] of words [padded_words(rows), groups].
void unpack_older_zeros(const TensorView& packed, const PackQuantizedLayout& layout, std::int64_t groups,
                        std::span<std::uint8_t> fields) {
  const auto words = static_cast<std::size_t>(padded_words(layout.rows, layout.bits));
  const auto row_fields = static_cast<std::size_t>(layout.rows);
  std::vector<std::uint32_t> column(words);
  for (std::size_t group = 0; group < static_cast<std::size_t>(groups); ++group) {
    for (std::size_t word = 0; word < words; ++word) {
      std::memcpy(&column[word], packed.bytes.data() + 4 * (word * static_cast<std::size_t>(groups) + group), 4);
    }
    unpack_padded(std::as_bytes(std::span(column)), layout.bits, fields.subspan(group * row_fields, row_fields));
  }
}

// Zero points [rows, groups] from fields packed down the columns of [words(rows), groups].
Result<std::vector<std::uint8_t>> read_zeros(const PackQuantizedViews& views, const PackQuantizedLayout& layout,
                                             std::int64_t groups, bool older) {
  const auto count = static_cast<std::size_t>(layout.rows * groups);
  if (layout.symmetric) return std::vector<std::uint8_t>(count, static_cast<std::uint8_t>(1 << (layout.bits - 1)));
  if (!views.weight_zero_point) {
    return Error(Fault::corrupt, "asymmetric module without zero points").in_field("weight_zero_point");
  }
  const TensorView& packed = *views.weight_zero_point;
  const std::int64_t words = older ? padded_words(layout.rows, layout.bits) : packed_words(layout.rows, layout.bits);
  QUERNEL_TRY_STATUS(expect_tensor(packed, DType::i32, {words, groups}, "weight_zero_point"));
  std::vector<std::uint8_t> fields(count);
  if (older) {
    unpack_older_zeros(packed, layout, groups, fields);
  } else {
    unpack_rows_transposed(packed.bytes, groups, layout.rows, layout.bits, fields);
  }
  return transpose_codes(fields, groups, layout.rows);
}

Status check_stored_shape(const TensorView& tensor, const PackQuantizedLayout& layout) {
  QUERNEL_TRY_STATUS(expect_tensor(tensor, DType::i64, {2}, "weight_shape"));
  std::array<std::int64_t, 2> stored{};
  std::memcpy(stored.data(), tensor.bytes.data(), tensor.bytes.size());
  if (stored[0] == layout.rows && stored[1] == layout.cols) return ok_status();
  return Error(Fault::corrupt, "stored shape contradicts the model's")
      .in_field("weight_shape")
      .expect(to_string(Shape{layout.rows, layout.cols}), to_string(Shape{stored[0], stored[1]}));
}

// [1] stands for every group of every row.
Result<std::vector<float>> expanded_scales(const TensorView& tensor, std::int64_t rows, std::int64_t groups) {
  if (tensor.shape != Shape{1} || rows * groups == 1) return read_scales(tensor, {rows, groups}, "weight_scale");
  QUERNEL_TRY(const std::vector<float> one, read_scales(tensor, {1}, "weight_scale"));
  return std::vector<float>(static_cast<std::size_t>(rows * groups), one.front());
}

}  // namespace

std::vector<std::uint32_t> quantized_weight_packed(const IntegerMatrix& matrix) {
  return pack_rows(matrix.codes, matrix.rows, matrix.cols, matrix.bits);
}

std::vector<std::uint32_t> quantized_zero_points(const IntegerMatrix& matrix) {
  const std::int64_t groups = matrix.num_groups();
  return pack_rows_transposed(transpose_codes(matrix.zero_points, matrix.rows, groups), groups, matrix.rows,
                              matrix.bits);
}

Result<std::vector<std::byte>> quantized_scales(const IntegerMatrix& matrix, DType stored) {
  const std::size_t width = size_of(stored);
  std::vector<std::byte> out(matrix.scales.size() * width);
  for (std::size_t i = 0; i < matrix.scales.size(); ++i) {
    const float scale = matrix.scales[i];
    std::uint16_t half = 0;
    float back = scale;
    if (stored == DType::f16) {
      half = float_to_f16(scale);
      back = f16_to_float(half);
    } else if (stored == DType::bf16) {
      half = float_to_bf16(scale);
      back = bf16_to_float(half);
    }
    if (back != scale) {
      return Error(Fault::invalid_argument, fmt::format("scale {} at {} is no {} value", scale, i, to_string(stored)))
          .in_field("weight_scale");
    }
    std::memcpy(out.data() + i * width, width == 4 ? static_cast<const void*>(&scale) : static_cast<const void*>(&half),
                width);
  }
  return out;
}

Result<PackQuantizedTensors> pack_quantized(const IntegerMatrix& matrix) {
  if (!matrix.has_contiguous_groups()) {
    return Error(Fault::invalid_argument, "columns of a group are scattered, which compressed-tensors cannot say")
        .in_field("weight_g_idx")
        .with_hint("use static groups with act-order, or the gptq format");
  }
  PackQuantizedTensors out;
  QUERNEL_TRY(out.weight_scale, quantized_scales(matrix, matrix.scale_dtype));
  out.weight_packed = quantized_weight_packed(matrix);
  out.weight_shape = {matrix.rows, matrix.cols};
  if (!matrix.symmetric) out.weight_zero_point = quantized_zero_points(matrix);
  return out;
}

Result<IntegerMatrix> unpack_quantized(const PackQuantizedViews& views, const PackQuantizedLayout& layout) {
  QUERNEL_TRY_STATUS(expect_layout(layout.rows, layout.cols, layout.bits, layout.group_size));
  IntegerMatrix out;
  out.rows = layout.rows;
  out.cols = layout.cols;
  out.bits = layout.bits;
  out.group_size = layout.group_size == -1 ? layout.cols : layout.group_size;
  out.symmetric = layout.symmetric;
  out.scale_dtype = views.weight_scale.dtype;
  const std::int64_t groups = out.num_groups();

  if (views.weight_shape) QUERNEL_TRY_STATUS(check_stored_shape(*views.weight_shape, layout));
  QUERNEL_TRY(out.scales, expanded_scales(views.weight_scale, layout.rows, groups));
  const bool older = has_older_order(views, layout);
  QUERNEL_TRY(out.zero_points, read_zeros(views, layout, groups, older));
  if (views.weight_g_idx) {
    QUERNEL_TRY(out.group_of_column, read_groups(*views.weight_g_idx, layout.cols, groups, "weight_g_idx"));
  } else {
    out.group_of_column = contiguous_groups(layout.cols, out.group_size);
  }
  QUERNEL_TRY(out.codes, read_codes(views.weight_packed, layout, older));
  QUERNEL_TRY_STATUS(validate(out));
  return out;
}

}  // namespace quernel::codec
