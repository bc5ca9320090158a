#include "kernels/packed/pack.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>

#include "base/checked.h"
#include "kernels/packed/weight_access.h"
#include "tensor/half.h"

namespace quernel::kernels::packed {
namespace {

Error refuse(std::string message) {
  return Error(Fault::unsupported, "cannot pack for integer products: " + std::move(message));
}

std::int64_t round_up(std::int64_t value, std::int64_t step) { return (value + step - 1) / step * step; }

Status check_shape(const WeightView& w) {
  if (w.rows < 1 || w.cols < 1) return refuse(fmt::format("{} outputs of {} inputs", w.rows, w.cols));
  if (w.cols > kMaxInputs) return refuse(fmt::format("{} inputs, {} at most", w.cols, kMaxInputs));
  if (!is_supported(w.codes, w.groups))
    return refuse(
        fmt::format("codes of {} bits with parameters of kind {}", code_bits(w.codes), static_cast<int>(w.groups)));
  const bool is_part = w.group_size == 16 || w.group_size == 32;
  const bool has_super = param_bytes_of(w.groups).super > 0;
  if (w.group_size <= 0 || w.group_size > kMaxInputs || (!is_part && (has_super || w.group_size % kTileInputs != 0)))
    return refuse(fmt::format("groups of {}; 16, 32, multiples of 64 or whole rows can be", w.group_size));
  return ok_status();
}

bool all_halves(const std::vector<float>& scales) {
  return std::all_of(scales.begin(), scales.end(), [](float s) { return f16_to_float(float_to_f16(s)) == s; });
}

WeightView shape_of(const codec::IntegerMatrix& m) {
  WeightView w;
  w.codes = m.bits == 8 ? Codes::u8 : m.bits == 4 ? Codes::u4 : m.bits == 3 ? Codes::u3 : Codes::u2;
  w.rows = m.rows;
  w.cols = m.cols;
  w.group_size = m.group_size >= m.cols ? round_up(m.cols, kTileInputs) : m.group_size;
  if (m.levels) {
    w.groups = Groups::two_level;
    return w;
  }
  const bool one_zero =
      std::adjacent_find(m.zero_points.begin(), m.zero_points.end(), std::not_equal_to<>()) == m.zero_points.end();
  if (!all_halves(m.scales)) {
    w.groups = Groups::f32;
  } else if (one_zero && !m.zero_points.empty()) {
    w.groups = Groups::f16_fixed;
    w.fixed_zero = m.zero_points.front();
  } else {
    w.groups = Groups::f16;
  }
  return w;
}

void put_half(std::uint8_t* to, std::int64_t lane, float value) {
  const std::uint16_t bits = float_to_f16(value);
  std::memcpy(to + 2 * lane, &bits, sizeof bits);
}

void put_group(PackedWeight& weight, const codec::IntegerMatrix& m, std::int64_t row, std::int64_t group) {
  const WeightView& w = weight.view();
  std::uint8_t* to = weight.params() + (row / kPanelOutputs) * w.panel_param_bytes() + w.group_offset(group);
  const std::int64_t lane = row % kPanelOutputs;
  const auto at = static_cast<std::size_t>(row * m.num_groups() + group);
  switch (w.groups) {
    case Groups::two_level:
      to[lane] = static_cast<std::uint8_t>(m.zero_points[at] | (m.levels->group_scales[at] - 1) << 4);
      break;
    case Groups::f16:
      put_half(to, lane, m.scales[at]);
      to[32 + lane] = m.zero_points[at];
      break;
    case Groups::f16_fixed: put_half(to, lane, m.scales[at]); break;
    case Groups::f32:
      std::memcpy(to + 4 * lane, &m.scales[at], sizeof(float));
      to[64 + lane] = m.zero_points[at];
      break;
    default: QUERNEL_CHECK(false, "no integer matrix has such groups");
  }
}

}  // namespace

namespace {

// Bytes of a weight's parts, one behind another.
struct Parts {
  std::int64_t codes, params, scales;
  [[nodiscard]] std::int64_t total() const { return codes + params + scales; }
};

Parts parts_of(const WeightView& w) {
  return {w.panels() * w.tiles() * tile_bytes(w.codes), round_up(w.panels() * w.panel_param_bytes(), 64),
          w.groups == Groups::two_level ? w.panels() * kPanelOutputs * 4 : 0};
}

}  // namespace

Result<std::uint64_t> PackedWeight::bytes_of(const WeightView& shape) {
  QUERNEL_TRY_STATUS(check_shape(shape));
  return static_cast<std::uint64_t>(parts_of(shape).total());
}

Result<PackedWeight> PackedWeight::make(const WeightView& shape, sys::HugeArena* arena) {
  QUERNEL_TRY(const std::uint64_t bytes, bytes_of(shape));
  sys::HugeArena own(0);
  QUERNEL_TRY(sys::HugeSlice memory, (arena != nullptr ? *arena : own).take(bytes));
  return over(shape, std::move(memory));
}

Result<PackedWeight> PackedWeight::over(const WeightView& shape, sys::HugeSlice memory) {
  QUERNEL_TRY(const std::uint64_t bytes, bytes_of(shape));
  QUERNEL_CHECK(memory.size == bytes, "{} bytes for a weight of {}", memory.size, bytes);
  PackedWeight weight;
  weight.view_ = shape;
  weight.memory_ = std::move(memory);
  const auto* start = reinterpret_cast<const std::uint8_t*>(weight.memory_.data);
  const Parts parts = parts_of(shape);
  weight.view_.code_bytes = start;
  weight.view_.param_bytes = start + parts.codes;
  weight.view_.row_scales =
      parts.scales == 0 ? nullptr : reinterpret_cast<const float*>(start + parts.codes + parts.params);
  return weight;
}

Status check_packable(const codec::IntegerMatrix& matrix) {
  if (matrix.bits != 2 && matrix.bits != 3 && matrix.bits != 4 && matrix.bits != 8)
    return refuse(fmt::format("{} bits", matrix.bits));
  if (!matrix.has_contiguous_groups()) return refuse("columns belong to groups in act-order");
  if (!matrix.outliers.empty())
    return refuse(fmt::format("{} single weights kept beside the codes", matrix.outliers.size()));
  return check_shape(shape_of(matrix));
}

Result<PackedWeight> pack(const codec::IntegerMatrix& matrix, sys::ThreadPool& pool, sys::HugeArena* arena) {
  QUERNEL_TRY_STATUS(check_packable(matrix));
  QUERNEL_TRY(PackedWeight weight, PackedWeight::make(shape_of(matrix), arena));
  pool.parallel_for(weight.view().panels(), [&](std::int64_t panel) {
    const std::int64_t end = std::min(matrix.rows, (panel + 1) * kPanelOutputs);
    for (std::int64_t row = panel * kPanelOutputs; row < end; ++row) {
      put_row_codes(weight, row, matrix.codes.data() + row * matrix.cols);
      for (std::int64_t g = 0; g < matrix.num_groups(); ++g) put_group(weight, matrix, row, g);
      if (matrix.levels) weight.row_scales()[row] = matrix.levels->row_scales[static_cast<std::size_t>(row)];
    }
  });
  return weight;
}

void put_row_codes(PackedWeight& weight, std::int64_t row, const std::uint8_t* codes) {
  const WeightView& w = weight.view();
  const auto [high, low] = planes_of(w.codes);
  std::uint8_t* tile = weight.codes() + (row / kPanelOutputs) * w.tiles() * tile_bytes(w.codes);
  // The four codes of a quad lie side by side in a unit as they do in the row: they are moved together. No bit leaves its byte.
  const auto put = [&](int bits, std::int64_t plane, std::int64_t quad, std::uint32_t values) {
    const BitsAt at = bits_at(bits, plane, quad, 4 * (row % kPanelOutputs));
    const std::uint32_t mask = 0x01010101U * ((1U << bits) - 1U);
    std::uint32_t word;
    std::memcpy(&word, tile + at.byte, sizeof word);
    word |= (values & mask) << at.shift;
    std::memcpy(tile + at.byte, &word, sizeof word);
  };
  for (std::int64_t first = 0; first < w.cols; first += kTileInputs, tile += tile_bytes(w.codes)) {
    const std::int64_t count = std::min(kTileInputs, w.cols - first);
    for (std::int64_t k = 0; k < count; k += 4) {
      std::uint32_t values = 0;
      std::memcpy(&values, codes + first + k, static_cast<std::size_t>(std::min<std::int64_t>(4, count - k)));
      put(low, plane_bytes(high), k / 4, values);
      if (high > 0) put(high, 0, k / 4, values >> low);
    }
  }
}

float unpack_value(const WeightView& weight, std::int64_t row, std::int64_t col) {
  const GroupParams g = group_of(weight, row, col / weight.group_size);
  const int code = code_of(weight, row, col);
  if (weight.groups == Groups::f16_min || weight.groups == Groups::k_min)
    return static_cast<float>(code) * g.real_scale + g.minimum;
  if (weight.groups == Groups::two_level) return weight.row_scales[row] * static_cast<float>(g.scale * (code - g.zero));
  return static_cast<float>(code - g.zero) * g.real_scale;
}

}  // namespace quernel::kernels::packed
