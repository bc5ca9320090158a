#include "codec/int_pack_awq.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"
#include "codec/int_pack_checks.h"
#include "codec/int_pack_scales.h"

namespace quernel::codec {
namespace {

constexpr std::array<std::int64_t, kAwqOutputsPerWord> kOrder{0, 2, 4, 6, 1, 3, 5, 7};
constexpr std::uint32_t kMask = (1U << kAwqBits) - 1;
constexpr std::uint8_t kMiddle = 1U << (kAwqBits - 1);

// Codes lie row by row and words column by column. A tile is a cache line of both: 64 inputs of an output, and the
// words of 128 outputs.
constexpr std::int64_t kTileCols = 64;
constexpr std::int64_t kTileWords = 16;

// Calls visit(word, col) for every word of [cols, rows / 8], tile by tile.
template <class Visitor>
void for_each_word(std::int64_t rows, std::int64_t cols, const Visitor& visit) {
  const std::int64_t words = rows / kAwqOutputsPerWord;
  for (std::int64_t first_word = 0; first_word < words; first_word += kTileWords) {
    const std::int64_t end_word = std::min(words, first_word + kTileWords);
    for (std::int64_t first_col = 0; first_col < cols; first_col += kTileCols) {
      const std::int64_t end_col = std::min(cols, first_col + kTileCols);
      for (std::int64_t word = first_word; word < end_word; ++word) {
        for (std::int64_t col = first_col; col < end_col; ++col) visit(word, col);
      }
    }
  }
}

// codes [rows, cols] -> words [cols, rows / 8].
std::vector<std::uint32_t> pack_outputs(const std::vector<std::uint8_t>& codes, std::int64_t rows, std::int64_t cols) {
  QUERNEL_CHECK(rows % kAwqOutputsPerWord == 0 && codes.size() == static_cast<std::size_t>(rows * cols),
                "{} codes of shape [{}, {}]", codes.size(), rows, cols);
  const std::int64_t row_words = rows / kAwqOutputsPerWord;
  std::vector<std::uint32_t> words(static_cast<std::size_t>(cols * row_words));
  for_each_word(rows, cols, [&](std::int64_t word, std::int64_t col) {
    const std::uint8_t* from = codes.data() + word * kAwqOutputsPerWord * cols + col;
    std::uint32_t fields = 0;
    for (std::size_t i = 0; i < kOrder.size(); ++i) fields |= (from[kOrder[i] * cols] & kMask) << (kAwqBits * i);
    words[static_cast<std::size_t>(col * row_words + word)] = fields;
  });
  return words;
}

// words [cols, rows / 8] at any alignment -> codes [rows, cols].
std::vector<std::uint8_t> unpack_outputs(std::span<const std::byte> words, std::int64_t rows, std::int64_t cols) {
  const std::int64_t row_words = rows / kAwqOutputsPerWord;
  QUERNEL_CHECK(words.size() == 4 * static_cast<std::size_t>(cols * row_words), "{} bytes for [{}, {}]", words.size(),
                cols, row_words);
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(rows * cols));
  for_each_word(rows, cols, [&](std::int64_t word, std::int64_t col) {
    std::uint32_t fields = 0;
    std::memcpy(&fields, words.data() + 4 * (col * row_words + word), 4);
    std::uint8_t* to = codes.data() + word * kAwqOutputsPerWord * cols + col;
    for (std::size_t i = 0; i < kOrder.size(); ++i) {
      to[kOrder[i] * cols] = static_cast<std::uint8_t>((fields >> (kAwqBits * i)) & kMask);
    }
  });
  return codes;
}

Result<std::vector<std::uint8_t>> read_zeros(const AwqViews& views, const AwqLayout& layout, std::int64_t groups) {
  if (views.qzeros) {
    const Shape shape{groups, layout.rows / kAwqOutputsPerWord};
    QUERNEL_TRY_STATUS(expect_tensor(*views.qzeros, DType::i32, shape, "qzeros"));
    return unpack_outputs(views.qzeros->bytes, layout.rows, groups);
  }
  if (layout.symmetric) return std::vector<std::uint8_t>(static_cast<std::size_t>(layout.rows * groups), kMiddle);
  return Error(Fault::corrupt, "asymmetric module without zero points").in_field("qzeros");
}

}  // namespace

Status check_awq_sides(std::int64_t rows, std::int64_t cols, std::int64_t group_size, Fault fault) {
  if (rows % kAwqOutputsPerWord != 0) {
    return Error(fault, "the AWQ layout holds eight outputs a word")
        .in_field("shape")
        .expect("outputs in multiples of 8", fmt::to_string(rows));
  }
  if (group_size != -1 && cols % group_size != 0) {
    return Error(fault, "the AWQ layout has no shorter last group")
        .in_field("group_size")
        .expect(fmt::format("-1 or a divisor of {}", cols), fmt::to_string(group_size));
  }
  return ok_status();
}

std::vector<std::uint32_t> awq_qweight(const IntegerMatrix& matrix) {
  return pack_outputs(matrix.codes, matrix.rows, matrix.cols);
}

std::vector<std::uint32_t> awq_qzeros(const IntegerMatrix& matrix) {
  return pack_outputs(matrix.zero_points, matrix.rows, matrix.num_groups());
}

Result<std::vector<std::uint16_t>> awq_scales(const IntegerMatrix& matrix) { return half_scales_by_group(matrix); }

Result<AwqTensors> pack_awq(const IntegerMatrix& matrix) {
  if (matrix.bits != kAwqBits) {
    return Error(Fault::invalid_argument, "the AWQ layout holds 4 bits")
        .in_field("bits")
        .expect("4", fmt::to_string(matrix.bits));
  }
  if (!matrix.has_contiguous_groups()) {
    return Error(Fault::invalid_argument, "columns of a group are scattered, which the AWQ layout cannot say")
        .in_field("group_of_column")
        .with_hint("use static groups with act-order, or the gptq format");
  }
  QUERNEL_TRY_STATUS(check_awq_sides(matrix.rows, matrix.cols, matrix.group_size, Fault::invalid_argument));
  AwqTensors out;
  QUERNEL_TRY(out.scales, awq_scales(matrix));
  out.qweight = awq_qweight(matrix);
  out.qzeros = awq_qzeros(matrix);
  return out;
}

Result<IntegerMatrix> unpack_awq(const AwqViews& views, const AwqLayout& layout) {
  QUERNEL_TRY_STATUS(expect_layout(layout.rows, layout.cols, kAwqBits, layout.group_size));
  QUERNEL_TRY_STATUS(check_awq_sides(layout.rows, layout.cols, layout.group_size, Fault::corrupt));
  IntegerMatrix out;
  out.rows = layout.rows;
  out.cols = layout.cols;
  out.bits = kAwqBits;
  out.group_size = layout.group_size == -1 ? layout.cols : layout.group_size;
  out.symmetric = layout.symmetric;
  out.scale_dtype = views.scales.dtype;
  const std::int64_t groups = out.num_groups();
  const Shape words{layout.cols, layout.rows / kAwqOutputsPerWord};
  QUERNEL_TRY_STATUS(expect_tensor(views.qweight, DType::i32, words, "qweight"));
  QUERNEL_TRY(out.scales, read_scales_by_group(views.scales, layout.rows, groups, "scales"));
  QUERNEL_TRY(out.zero_points, read_zeros(views, layout, groups));
  out.group_of_column = contiguous_groups(layout.cols, out.group_size);
  out.codes = unpack_outputs(views.qweight.bytes, layout.rows, layout.cols);
  QUERNEL_TRY_STATUS(validate(out));
  return out;
}

}  // namespace quernel::codec
