#include "codec/int_pack_gptq.h"

#include "codec/int_pack.h"
#include "codec/int_pack_checks.h"
#include "codec/int_pack_scales.h"

namespace quernel::codec {
namespace {

// Fields [groups, rows] -> zero points [rows, groups].
std::vector<std::uint8_t> zeros_of_fields(const std::vector<std::uint8_t>& fields, const GptqLayout& layout,
                                          std::int64_t groups) {
  std::vector<std::uint8_t> zeros = transpose_codes(fields, groups, layout.rows);
  if (layout.zeros == GptqZeros::v2) return zeros;
  const auto mask = static_cast<unsigned>((1 << layout.bits) - 1);
  for (std::uint8_t& zero : zeros) zero = static_cast<std::uint8_t>((zero + 1U) & mask);
  return zeros;
}

Result<std::vector<std::uint8_t>> read_zeros(const TensorView& qzeros, const GptqLayout& layout, std::int64_t groups) {
  QUERNEL_TRY_STATUS(expect_tensor(qzeros, DType::i32, {groups, packed_words(layout.rows, layout.bits)}, "qzeros"));
  const auto count = static_cast<std::size_t>(groups * layout.rows);
  if (layout.symmetric) return std::vector<std::uint8_t>(count, static_cast<std::uint8_t>(1 << (layout.bits - 1)));
  std::vector<std::uint8_t> fields(count);
  unpack_rows(qzeros.bytes, groups, layout.rows, layout.bits, fields);
  return zeros_of_fields(fields, layout, groups);
}

}  // namespace

std::vector<std::uint32_t> gptq_qweight(const IntegerMatrix& matrix) {
  return pack_rows_transposed(matrix.codes, matrix.rows, matrix.cols, matrix.bits);
}

std::vector<std::uint32_t> gptq_qzeros(const IntegerMatrix& matrix, GptqZeros zeros) {
  const std::int64_t groups = matrix.num_groups();
  std::vector<std::uint8_t> fields = transpose_codes(matrix.zero_points, matrix.rows, groups);
  if (zeros == GptqZeros::v1) {
    const auto mask = static_cast<unsigned>((1 << matrix.bits) - 1);
    for (std::uint8_t& field : fields) field = static_cast<std::uint8_t>((field - 1U) & mask);
  }
  return pack_rows(fields, groups, matrix.rows, matrix.bits);
}

Result<std::vector<std::uint16_t>> gptq_scales(const IntegerMatrix& matrix) { return half_scales_by_group(matrix); }

Result<GptqTensors> pack_gptq(const IntegerMatrix& matrix, GptqZeros zeros) {
  GptqTensors out;
  QUERNEL_TRY(out.scales, gptq_scales(matrix));
  out.qweight = gptq_qweight(matrix);
  out.qzeros = gptq_qzeros(matrix, zeros);
  out.g_idx = matrix.group_of_column;
  return out;
}

Result<IntegerMatrix> unpack_gptq(const GptqViews& views, const GptqLayout& layout) {
  QUERNEL_TRY_STATUS(expect_layout(layout.rows, layout.cols, layout.bits, layout.group_size));
  IntegerMatrix out;
  out.rows = layout.rows;
  out.cols = layout.cols;
  out.bits = layout.bits;
  out.group_size = layout.group_size == -1 ? layout.cols : layout.group_size;
  out.symmetric = layout.symmetric;
  out.scale_dtype = views.scales.dtype;
  const std::int64_t groups = out.num_groups();

  QUERNEL_TRY_STATUS(
      expect_tensor(views.qweight, DType::i32, {packed_words(layout.cols, layout.bits), layout.rows}, "qweight"));
  QUERNEL_TRY(out.scales, read_scales_by_group(views.scales, layout.rows, groups, "scales"));
  QUERNEL_TRY(out.zero_points, read_zeros(views.qzeros, layout, groups));
  if (views.g_idx) {
    QUERNEL_TRY(out.group_of_column, read_groups(*views.g_idx, layout.cols, groups, "g_idx"));
  } else {
    out.group_of_column = contiguous_groups(layout.cols, out.group_size);
  }
  out.codes.resize(static_cast<std::size_t>(layout.rows * layout.cols));
  unpack_rows_transposed(views.qweight.bytes, layout.rows, layout.cols, layout.bits, out.codes);
  QUERNEL_TRY_STATUS(validate(out));
  return out;
}

}  // namespace quernel::codec
