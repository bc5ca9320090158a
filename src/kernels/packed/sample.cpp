#include "kernels/packed/sample.h"

#include <cstring>

#include "codec/integer_matrix.h"
#include "tensor/half.h"

namespace quernel::kernels::packed {
namespace {

int draw(Data data, CounterRng& rng, int low, int high, std::int64_t index) {
  switch (data) {
    case Data::random: return low + static_cast<int>(rng.below(static_cast<std::uint64_t>(high - low + 1)));
    case Data::all_minimum: return low;
    case Data::all_maximum: return high;
    case Data::alternating: return index % 2 == 0 ? low : high;
  }
  return low;
}

void put_half(std::uint8_t* to, std::int64_t lane, double value) {
  const std::uint16_t bits = float_to_f16(static_cast<float>(value));
  std::memcpy(to + 2 * lane, &bits, sizeof bits);
}

// One output's parameters of a group, and of its super-block.
void put_lane(const WeightView& w, std::uint8_t* at, std::uint8_t* super, std::int64_t lane, CounterRng& rng) {
  const auto zero = [&] { return static_cast<std::uint8_t>(rng.below(std::uint64_t{1} << code_bits(w.codes))); };
  const double scale = 0.001 + rng.uniform();
  switch (w.groups) {
    case Groups::two_level: {
      const int z = zero();
      int s = 1 + static_cast<int>(rng.below(16));
      while (!codec::fits_int8(s, z, 4)) --s;
      at[lane] = static_cast<std::uint8_t>(z | (s - 1) << 4);
      break;
    }
    case Groups::f16:
      put_half(at, lane, scale);
      at[32 + lane] = zero();
      break;
    case Groups::f16_fixed: put_half(at, lane, -scale); break;
    case Groups::f16_min:
      put_half(at, lane, scale);
      put_half(at, kPanelOutputs + lane, rng.normal());
      break;
    case Groups::f32: {
      const auto real = static_cast<float>(scale);
      std::memcpy(at + 4 * lane, &real, sizeof real);
      at[64 + lane] = zero();
      break;
    }
    case Groups::k_scale:
      put_half(super, lane, scale);
      at[lane] = static_cast<std::uint8_t>(rng.below(256));
      break;
    case Groups::k_min:
      put_half(super, lane, scale);
      put_half(super, kPanelOutputs + lane, rng.normal());
      at[lane] = static_cast<std::uint8_t>(rng.below(256));
      at[kPanelOutputs + lane] = static_cast<std::uint8_t>(rng.below(256));
      break;
  }
}

void put_params(PackedWeight& weight, CounterRng& rng) {
  const WeightView& w = weight.view();
  for (std::int64_t panel = 0; panel < w.panels(); ++panel) {
    std::uint8_t* params = weight.params() + panel * w.panel_param_bytes();
    for (std::int64_t g = 0; g < w.num_groups(); ++g)
      for (std::int64_t lane = 0; lane < kPanelOutputs; ++lane)
        put_lane(w, params + w.group_offset(g), params + w.super_offset(g), lane, rng);
  }
  if (w.groups == Groups::two_level)
    for (std::int64_t row = 0; row < w.rows; ++row)
      weight.row_scales()[row] = static_cast<float>(0.001 + rng.uniform());
}

}  // namespace

std::vector<Kind> kinds() {
  std::vector<Kind> all;
  for (const Codes codes : {Codes::u2, Codes::u3, Codes::u4, Codes::u5, Codes::u6, Codes::u8, Codes::u4_table})
    for (const Groups groups : {Groups::two_level, Groups::f16, Groups::f16_fixed, Groups::f16_min, Groups::f32,
                                Groups::k_scale, Groups::k_min})
      if (is_supported(codes, groups)) all.push_back({codes, groups});
  return all;
}

Result<PackedWeight> sample_weight(const Kind& kind, std::int64_t rows, std::int64_t cols, std::int64_t group_size,
                                   Data data, CounterRng& rng, std::vector<std::uint8_t>* codes) {
  WeightView shape;
  shape.codes = kind.codes;
  shape.groups = kind.groups;
  shape.fixed_zero = static_cast<std::uint8_t>(1 << (code_bits(kind.codes) - 1));
  if (kind.codes == Codes::u4_table) {
    shape.fixed_zero = 127;
    for (std::uint8_t& entry : shape.table) entry = static_cast<std::uint8_t>(draw(data, rng, 0, 255, rng.below(2)));
  }
  shape.rows = rows;
  shape.cols = cols;
  shape.group_size = group_size == -1 ? (cols + kTileInputs - 1) / kTileInputs * kTileInputs : group_size;
  QUERNEL_TRY(PackedWeight weight, PackedWeight::make(shape));
  const int max_code = (1 << code_bits(kind.codes)) - 1;
  std::vector<std::uint8_t> row_codes(static_cast<std::size_t>(cols));
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t k = 0; k < cols; ++k)
      row_codes[static_cast<std::size_t>(k)] = static_cast<std::uint8_t>(draw(data, rng, 0, max_code, k + row));
    put_row_codes(weight, row, row_codes.data());
    for (std::size_t k = 0; codes != nullptr && k < row_codes.size(); ++k)
      codes->push_back(kind.codes == Codes::u4_table ? shape.table[row_codes[k]] : row_codes[k]);
  }
  put_params(weight, rng);
  return weight;
}

SampleRows::SampleRows(std::int64_t num_rows, std::int64_t cols, std::int64_t group_size, Data data, CounterRng& rng) {
  view.stride = (cols + kTileInputs - 1) / kTileInputs * kTileInputs;
  view.sum_inputs = num_rows % 2 == 0 ? kSumInputs : group_size;
  view.sums_stride = (view.stride + view.sum_inputs - 1) / view.sum_inputs;
  view.num_rows = num_rows;
  codes.resize(static_cast<std::size_t>(num_rows * view.stride));
  scales.resize(static_cast<std::size_t>(num_rows));
  sums.resize(static_cast<std::size_t>(num_rows * view.sums_stride));
  totals.resize(static_cast<std::size_t>(num_rows));
  for (std::int64_t m = 0; m < num_rows; ++m) {
    scales[static_cast<std::size_t>(m)] = static_cast<float>(0.01 + rng.uniform());
    for (std::int64_t k = 0; k < cols; ++k) {
      const int code = draw(data, rng, -127, 127, k);
      codes[static_cast<std::size_t>(m * view.stride + k)] = static_cast<std::int8_t>(code);
      sums[static_cast<std::size_t>(m * view.sums_stride + k / view.sum_inputs)] += code;
      totals[static_cast<std::size_t>(m)] += code;
    }
  }
  view.codes = codes.data();
  view.scales = scales.data();
  view.sums = sums.data();
  view.totals = totals.data();
}

std::vector<float> run_entry(Run entry, const WeightView& weight, const RowsView& x, std::int64_t first_panel,
                             std::int64_t end_panel) {
  const std::int64_t stride = weight.rows + kOutMargin;
  std::vector<float> out(static_cast<std::size_t>(x.num_rows * stride), kUntouched);
  std::vector<std::uint8_t> scratch(static_cast<std::size_t>(4 * weight.tiles() * tile_bytes(Codes::u8) + 64));
  auto* aligned = reinterpret_cast<std::uint8_t*>((reinterpret_cast<std::uintptr_t>(scratch.data()) + 63) / 64 * 64);
  entry({weight, x, first_panel, end_panel, out.data(), stride, aligned});
  return out;
}

}  // namespace quernel::kernels::packed
