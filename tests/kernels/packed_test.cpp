#include "kernels/packed/packed.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/rng.h"
#include "kernels/kernel_test.h"
#include "kernels/packed/pack.h"
#include "kernels/packed/table.h"
#include "kernels/packed/weight_access.h"
#include "kernels/packed_emulated.h"
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
  std::vector<Kind> all;
  for (const Codes codes : {Codes::u2, Codes::u3, Codes::u4, Codes::u5, Codes::u6, Codes::u8, Codes::u4_table})
    for (const Groups groups : {Groups::two_level, Groups::f16, Groups::f16_fixed, Groups::f16_min, Groups::f32,
                                Groups::k_scale, Groups::k_min})
      if (is_supported(codes, groups)) all.push_back({codes, groups});
  return all;
}
bool has_super(Groups groups) { return param_bytes_of(groups).super > 0; }

void put_half(std::uint8_t* to, std::int64_t lane, double value) {
  const std::uint16_t bits = float_to_f16(static_cast<float>(value));
  std::memcpy(to + 2 * lane, &bits, sizeof bits);
}

// Finite scales and minima, any byte elsewhere; two levels as the format allows them, so that no code leaves INT8.
void put_params(PackedWeight& weight, std::int64_t panel, std::int64_t group, CounterRng& rng) {
  const WeightView& w = weight.view();
  std::uint8_t* at = weight.params() + panel * w.panel_param_bytes() + w.group_offset(group);
  std::uint8_t* super = weight.params() + panel * w.panel_param_bytes() + w.super_offset(group);
  const auto zero = [&] { return static_cast<std::uint8_t>(rng.below(std::uint64_t{1} << code_bits(w.codes))); };
  for (std::int64_t lane = 0; lane < kPanelOutputs; ++lane) {
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
}

PackedWeight make_weight(const Kind& kind, std::int64_t rows, std::int64_t cols, std::int64_t group_size, Data data,
                         CounterRng& rng) {
  WeightView shape;
  shape.codes = kind.codes;
  shape.groups = kind.groups;
  shape.fixed_zero = static_cast<std::uint8_t>(1 << (code_bits(kind.codes) - 1));
  if (kind.codes == Codes::u4_table) {
    shape.fixed_zero = 127;
    for (std::uint8_t& entry : shape.table) entry = static_cast<std::uint8_t>(extreme(data, rng, 0, 255, rng.below(2)));
  }
  shape.rows = rows;
  shape.cols = cols;
  shape.group_size = group_size == -1 ? (cols + 63) / 64 * 64 : group_size;
  PackedWeight weight = std::move(PackedWeight::make(shape)).value();
  const int max_code = (1 << code_bits(kind.codes)) - 1;
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(cols));
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t k = 0; k < cols; ++k)
      codes[static_cast<std::size_t>(k)] = static_cast<std::uint8_t>(extreme(data, rng, 0, max_code, k + row));
    put_row_codes(weight, row, codes.data());
    for (std::int64_t k = 0; k < cols; ++k) {
      const int code = codes[static_cast<std::size_t>(k)];
      EXPECT_EQ(code_of(weight.view(), row, k), kind.codes == Codes::u4_table ? shape.table[code] : code);
    }
  }
  const WeightView& w = weight.view();
  for (std::int64_t panel = 0; panel < w.panels(); ++panel)
    for (std::int64_t g = 0; g < w.num_groups(); ++g) put_params(weight, panel, g, rng);
  if (kind.groups == Groups::two_level)
    for (std::int64_t row = 0; row < rows; ++row) weight.row_scales()[row] = static_cast<float>(0.001 + rng.uniform());
  return weight;
}

struct Rows {
  std::vector<std::int8_t> codes;
  std::vector<float> scales;
  std::vector<std::int32_t> sums;
  std::vector<std::int32_t> totals;
  RowsView view;

  // Sums of 16, or of whole groups where num_rows is odd: kernels take both.
  Rows(std::int64_t num_rows, std::int64_t cols, std::int64_t group_size, Data data, CounterRng& rng) {
    view.stride = (cols + 63) / 64 * 64;
    view.sum_inputs = num_rows % 2 == 0 ? 16 : group_size;
    view.sums_stride = (view.stride + view.sum_inputs - 1) / view.sum_inputs;
    view.num_rows = num_rows;
    codes.resize(static_cast<std::size_t>(num_rows * view.stride));
    scales.resize(static_cast<std::size_t>(num_rows));
    sums.resize(static_cast<std::size_t>(num_rows * view.sums_stride));
    totals.resize(static_cast<std::size_t>(num_rows));
    for (std::int64_t m = 0; m < num_rows; ++m) {
      scales[static_cast<std::size_t>(m)] = static_cast<float>(0.01 + rng.uniform());
      for (std::int64_t k = 0; k < cols; ++k) {
        const int code = extreme(data, rng, -127, 127, k);
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
  const Rows x(num_rows, cols, weight.view().group_size, data, rng);
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
      for (const std::int64_t group : {16, 32, 64, 128, -1}) {
        if (has_super(kind.groups) && (group < 0 || group > 32)) continue;
        for (const std::int64_t cols : {1, 31, 33, 64, 65, 96, 130, 192, 577})
          for (const std::int64_t num_rows : {1, 2, 3, 8, 9, 17})
            cases += compare_all(kind, 33, cols, group, num_rows, data);
      }
  EXPECT_GT(cases, 1'000'000);
}

TEST(Packed, EveryTailOfOutputsAndRows) {
  for (const Kind& kind :
       {Kind{Codes::u4, Groups::two_level}, Kind{Codes::u4, Groups::f16}, Kind{Codes::u8, Groups::f16_fixed}}) {
    for (std::int64_t rows = 1; rows <= 130; ++rows) compare_all(kind, rows, 96, 32, 7, Data::random);
    for (std::int64_t num_rows = 1; num_rows <= 130; ++num_rows) compare_all(kind, 70, 128, 64, num_rows, Data::random);
  }
}

#ifdef QUERNEL_EMULATED_TILES
// The kernel for AMX where there is none: the same bits on emulated tiles.
TEST(Packed, TilesGiveTheBitsOfTheReference) {
  if (!sys::can_use(sys::Isa::avx512_vnni)) GTEST_SKIP() << "unpacking takes AVX-512 VNNI";
  for (const Kind& kind : kinds())
    for (const std::int64_t group : {16, 64, 128, -1}) {
      if (has_super(kind.groups) && group != 16) continue;
      for (const std::int64_t num_rows : {1, 15, 16, 17, 32, 37, 50}) {
        CounterRng rng(5, "tiles");
        const PackedWeight weight = make_weight(kind, 81, 200, group, Data::random, rng);
        const Rows x(num_rows, 200, weight.view().group_size, Data::random, rng);
        EXPECT_TRUE(same_bits(run(many_on_emulated_tiles, weight.view(), x.view, 0, 6),
                              run(variants().back().few, weight.view(), x.view, 0, 6)))
            << "codes " << static_cast<int>(kind.codes) << " groups " << static_cast<int>(kind.groups) << " group "
            << group << " rows " << num_rows;
      }
    }
}
#endif

// The comparison itself: a kernel that is wrong by the last bit of one output, wherever, does not pass it.
TEST(Packed, AFaultOfOneBitIsCaught) {
  CounterRng rng(9, "fault");
  const PackedWeight weight = make_weight({Codes::u4, Groups::two_level}, 33, 130, 64, Data::random, rng);
  const Rows x(3, 130, 64, Data::random, rng);
  const std::vector<float> expected = run(variants().back().few, weight.view(), x.view, 0, 3);
  for (const std::int64_t output : {0, 16, 32})
    for (const std::int64_t row : {0, 2}) {
      std::vector<float> out = run(pick().few, weight.view(), x.view, 0, 3);
      ASSERT_TRUE(same_bits(out, expected));
      float& wrong = out[static_cast<std::size_t>(row * 36 + output)];
      std::uint32_t bits;
      std::memcpy(&bits, &wrong, sizeof bits);
      bits ^= 1;
      std::memcpy(&wrong, &bits, sizeof bits);
      EXPECT_FALSE(same_bits(out, expected));
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
    const PackedWeight weight = make_weight(kind, 19, 200, has_super(kind.groups) ? 16 : 64, Data::random, rng);
    const Rows x(3, 200, weight.view().group_size, Data::random, rng);
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
      for (const std::int64_t group : {16, 32, 64, 128, 150}) {
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
