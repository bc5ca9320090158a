#include "kernels/packed/packed.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/rng.h"
#include "kernels/kernel_test.h"
#include "kernels/packed/pack.h"
#include "kernels/packed/table.h"
#include "tensor/half.h"

namespace quernel::kernels::packed {
namespace {

enum class Data { random, all_minimum, all_maximum, alternating };

std::vector<Data> all_data() { return {Data::random, Data::all_minimum, Data::all_maximum, Data::alternating}; }

int extreme(Data data, CounterRng& rng, int low, int high, std::int64_t index) {
  switch (data) {
    case Data::random: return low + static_cast<int>(rng.below(static_cast<std::uint64_t>(high - low + 1)));
    case Data::all_minimum: return low;
    case Data::all_maximum: return high;
    case Data::alternating: return index % 2 == 0 ? low : high;
  }
  return low;
}

struct Kind {
  Codes codes;
  Groups groups;
};
std::vector<Kind> kinds() {
  return {{Codes::u4, Groups::two_level}, {Codes::u4, Groups::f16},     {Codes::u4, Groups::f16_fixed},
          {Codes::u4, Groups::f16_min},   {Codes::u4, Groups::f32},     {Codes::u8, Groups::f16},
          {Codes::u8, Groups::f16_fixed}, {Codes::u8, Groups::f16_min}, {Codes::u8, Groups::f32}};
}

PackedWeight make_weight(const Kind& kind, std::int64_t rows, std::int64_t cols, std::int64_t group_size, Data data,
                         CounterRng& rng) {
  WeightView shape;
  shape.codes = kind.codes;
  shape.groups = kind.groups;
  shape.fixed_zero = kind.codes == Codes::u4 ? 8 : 128;
  shape.rows = rows;
  shape.cols = cols;
  shape.group_size = group_size == -1 ? (cols + 63) / 64 * 64 : group_size;
  PackedWeight weight = std::move(PackedWeight::make(shape)).value();
  const int max_code = kind.codes == Codes::u4 ? 15 : 255;
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(cols));
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t k = 0; k < cols; ++k)
      codes[static_cast<std::size_t>(k)] = static_cast<std::uint8_t>(extreme(data, rng, 0, max_code, k + row));
    put_row_codes(weight, row, codes.data());
  }
  // Every byte pattern that is a finite parameter; two levels as the format allows them, so that no code leaves INT8.
  const WeightView& w = weight.view();
  const std::int64_t bytes = w.panels() * w.num_groups() * group_bytes(kind.groups);
  for (std::int64_t i = 0; i < bytes; ++i) {
    int value = static_cast<int>(rng.below(256));
    if (kind.groups == Groups::two_level) {
      int zero = value & 15;
      int scale = (value >> 4) + 1;
      while (!codec::fits_int8(scale, zero, 4)) --scale;
      value = zero | (scale - 1) << 4;
    }
    if (kind.groups != Groups::two_level && kind.codes == Codes::u4)
      value &= 15;  // zero points; scales are overwritten below
    weight.params()[i] = static_cast<std::uint8_t>(value);
  }
  const std::int64_t group = group_bytes(kind.groups);
  for (std::int64_t g = 0; g < w.panels() * w.num_groups(); ++g) {
    std::uint8_t* at = weight.params() + g * group;
    for (std::int64_t lane = 0; lane < kPanelOutputs; ++lane) {
      const float scale = static_cast<float>(0.001 + rng.uniform());
      const std::uint16_t half = float_to_f16(scale);
      const std::uint16_t minimum = float_to_f16(static_cast<float>(rng.normal()));
      if (kind.groups == Groups::f32) std::memcpy(at + 4 * lane, &scale, 4);
      if (kind.groups == Groups::f16 || kind.groups == Groups::f16_fixed || kind.groups == Groups::f16_min)
        std::memcpy(at + 2 * lane, &half, 2);
      if (kind.groups == Groups::f16_min) std::memcpy(at + 32 + 2 * lane, &minimum, 2);
    }
  }
  if (kind.groups == Groups::two_level)
    for (std::int64_t row = 0; row < rows; ++row) weight.row_scales()[row] = static_cast<float>(0.001 + rng.uniform());
  return weight;
}

struct Rows {
  std::vector<std::int8_t> codes;
  std::vector<float> scales;
  std::vector<std::int32_t> sums;
  RowsView view;

  Rows(std::int64_t num_rows, std::int64_t cols, Data data, CounterRng& rng) {
    view.stride = (cols + 63) / 64 * 64;
    view.num_rows = num_rows;
    codes.resize(static_cast<std::size_t>(num_rows * view.stride));
    scales.resize(static_cast<std::size_t>(num_rows));
    sums.resize(static_cast<std::size_t>(num_rows * view.stride / kSumInputs));
    for (std::int64_t m = 0; m < num_rows; ++m) {
      scales[static_cast<std::size_t>(m)] = static_cast<float>(0.01 + rng.uniform());
      for (std::int64_t k = 0; k < cols; ++k) {
        const int code = extreme(data, rng, -127, 127, k);
        codes[static_cast<std::size_t>(m * view.stride + k)] = static_cast<std::int8_t>(code);
        sums[static_cast<std::size_t>((m * view.stride + k) / kSumInputs)] += code;
      }
    }
    view.codes = codes.data();
    view.scales = scales.data();
    view.sums = sums.data();
  }
};

constexpr float kUntouched = 12345.0F;

std::vector<float> run(Run kernel, const WeightView& weight, const RowsView& x, std::int64_t first_panel,
                       std::int64_t end_panel) {
  const std::int64_t stride = weight.rows + 3;
  std::vector<float> out(static_cast<std::size_t>(x.num_rows * stride), kUntouched);
  std::vector<std::uint8_t> scratch(static_cast<std::size_t>(4 * weight.tiles() * 1024 + 64));
  auto* aligned = reinterpret_cast<std::uint8_t*>((reinterpret_cast<std::uintptr_t>(scratch.data()) + 63) / 64 * 64);
  kernel({weight, x, first_panel, end_panel, out.data(), stride, aligned});
  return out;
}

std::int64_t panels_of(std::int64_t rows) { return (rows + kPanelOutputs - 1) / kPanelOutputs; }

// Both entries of every variant against the reference, bit for bit, outside of the range nothing written.
std::int64_t compare_all(const Kind& kind, std::int64_t rows, std::int64_t cols, std::int64_t group_size,
                         std::int64_t num_rows, Data data) {
  CounterRng rng(static_cast<std::uint64_t>(rows * 1000003 + cols * 131 + num_rows), "packed");
  const PackedWeight weight = make_weight(kind, rows, cols, group_size, data, rng);
  const Rows x(num_rows, cols, data == Data::alternating ? Data::alternating : data, rng);
  const std::int64_t first = rows > 40 ? 1 : 0;
  const std::vector<float> expected = run(variants().back().few, weight.view(), x.view, first, panels_of(rows));
  for (const Variant& variant : variants()) {
    if (!sys::can_use(variant.isa)) continue;
    for (const Run entry : {variant.few, variant.many}) {
      if (entry == nullptr) continue;
      const std::vector<float> out = run(entry, weight.view(), x.view, first, panels_of(rows));
      EXPECT_TRUE(same_bits(out, expected))
          << variant.name << (entry == variant.many ? " many" : " few") << " codes " << static_cast<int>(kind.codes)
          << " groups " << static_cast<int>(kind.groups) << " outputs " << rows << " inputs " << cols << " group "
          << group_size << " rows " << num_rows;
    }
  }
  return num_rows * std::min(rows, rows - first * kPanelOutputs);
}

TEST(Packed, EveryVariantGivesTheBitsOfTheReference) {
  std::int64_t cases = 0;
  for (const Kind& kind : kinds())
    for (const Data data : all_data())
      for (const std::int64_t group : {32, 64, 128, -1})
        for (const std::int64_t cols : {1, 31, 33, 64, 65, 96, 130, 192, 577})
          for (const std::int64_t num_rows : {1, 2, 3, 8, 9, 17})
            cases += compare_all(kind, 33, cols, group, num_rows, data);
  EXPECT_GT(cases, 1'000'000);
}

TEST(Packed, EveryTailOfOutputsAndRows) {
  for (const Kind& kind :
       {Kind{Codes::u4, Groups::two_level}, Kind{Codes::u4, Groups::f16}, Kind{Codes::u8, Groups::f16_fixed}}) {
    for (std::int64_t rows = 1; rows <= 130; ++rows) compare_all(kind, rows, 96, 32, 7, Data::random);
    for (std::int64_t num_rows = 1; num_rows <= 130; ++num_rows) compare_all(kind, 70, 128, 64, num_rows, Data::random);
  }
}

// The longest sum that is allowed, of the largest products: INT32 holds it.
TEST(Packed, LongestRowsDoNotOverflow) {
  for (const Kind& kind :
       {Kind{Codes::u4, Groups::two_level}, Kind{Codes::u8, Groups::f16_fixed}, Kind{Codes::u8, Groups::f16}})
    for (const Data data : {Data::all_minimum, Data::all_maximum}) compare_all(kind, 17, kMaxInputs, -1, 6, data);
}

// An independent definition: the value of each weight times the value of each activation, in double.
TEST(Packed, FollowsTheDefinition) {
  for (const Kind& kind : kinds()) {
    CounterRng rng(7, "definition");
    const PackedWeight weight = make_weight(kind, 19, 200, 64, Data::random, rng);
    const Rows x(3, 200, Data::random, rng);
    const std::vector<float> out = run(variants().back().few, weight.view(), x.view, 0, 2);
    for (std::int64_t m = 0; m < 3; ++m)
      for (std::int64_t n = 0; n < 19; ++n) {
        double sum = 0;
        double magnitude = 0;
        for (std::int64_t k = 0; k < 200; ++k) {
          const double product = static_cast<double>(unpack_value(weight.view(), n, k)) *
                                 x.codes[static_cast<std::size_t>(m * x.view.stride + k)] *
                                 x.scales[static_cast<std::size_t>(m)];
          sum += product;
          magnitude += std::fabs(product);
        }
        ASSERT_NEAR(out[static_cast<std::size_t>(m * 22 + n)], sum, 16 * 0x1p-24 * magnitude);
      }
  }
}

codec::IntegerMatrix integer_matrix(int bits, std::int64_t rows, std::int64_t cols, std::int64_t group_size,
                                    bool levels) {
  CounterRng rng(11, "matrix");
  codec::IntegerMatrix m;
  m.rows = rows;
  m.cols = cols;
  m.bits = bits;
  m.group_size = group_size;
  m.group_of_column = codec::contiguous_groups(cols, group_size);
  m.codes.resize(static_cast<std::size_t>(rows * cols));
  for (auto& code : m.codes) code = static_cast<std::uint8_t>(rng.below(std::uint64_t{1} << bits));
  const auto groups = static_cast<std::size_t>(rows * m.num_groups());
  m.zero_points.resize(groups);
  m.scales.resize(groups);
  if (levels) {
    m.levels.emplace();
    for (std::int64_t r = 0; r < rows; ++r)
      m.levels->row_scales.push_back(f16_to_float(float_to_f16(0.01F * static_cast<float>(r + 1))));
  }
  for (std::size_t i = 0; i < groups; ++i) {
    m.zero_points[i] = static_cast<std::uint8_t>(levels ? 5 + rng.below(5) : rng.below(std::uint64_t{1} << bits));
    m.scales[i] = f16_to_float(float_to_f16(static_cast<float>(0.01 + rng.uniform())));
    if (levels) {
      m.levels->group_scales.push_back(static_cast<std::uint8_t>(1 + rng.below(8)));
      m.scales[i] = m.levels->row_scales[i / static_cast<std::size_t>(m.num_groups())] * m.levels->group_scales[i];
    }
  }
  return m;
}

TEST(Packed, PackingLosesNothing) {
  sys::ThreadPool pool(2);
  for (const int bits : {2, 3, 4, 8})
    for (const bool levels : {false, true})
      for (const std::int64_t group : {32, 64, 128, 150}) {
        if (levels && bits != 4) continue;
        const codec::IntegerMatrix matrix = integer_matrix(bits, 37, 150, group, levels);
        const Result<PackedWeight> weight = pack(matrix, pool);
        ASSERT_TRUE(weight.ok()) << to_string(weight.error());
        const Matrix expected = codec::dequantize(matrix);
        for (std::int64_t r = 0; r < matrix.rows; ++r)
          for (std::int64_t k = 0; k < matrix.cols; ++k)
            ASSERT_EQ(unpack_value(weight->view(), r, k), expected.view()(r, k))
                << bits << " " << group << " " << r << " " << k;
      }
}

TEST(Packed, RefusesWhatTheLayoutCannotHold) {
  sys::ThreadPool pool(1);
  EXPECT_EQ(pack(integer_matrix(4, 4, 96, 48, false), pool).error().fault, Fault::unsupported);
  codec::IntegerMatrix act_order = integer_matrix(4, 4, 64, 32, false);
  std::swap(act_order.group_of_column[0], act_order.group_of_column[40]);
  EXPECT_EQ(pack(act_order, pool).error().fault, Fault::unsupported);
  EXPECT_EQ(pack(integer_matrix(4, 1, kMaxInputs + 64, 64, false), pool).error().fault, Fault::unsupported);
  codec::IntegerMatrix listed = integer_matrix(4, 4, 64, 32, true);
  listed.outliers = {{1, 2, 3.0F}};
  EXPECT_EQ(pack(listed, pool).error().fault, Fault::unsupported);
}

}  // namespace
}  // namespace quernel::kernels::packed
