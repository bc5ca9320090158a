#include "kernels/packed/packed.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "kernels/kernel_test.h"
#include "kernels/packed/sample.h"
#include "kernels/packed/table.h"
#include "kernels/packed/weight_access.h"
#include "kernels/packed_emulated.h"
#include "tensor/half.h"

namespace quernel::kernels::packed {
namespace {

std::int64_t panels_of(std::int64_t rows) { return (rows + kPanelOutputs - 1) / kPanelOutputs; }

// Both entries of every variant against the reference, bit for bit, outside of the range nothing written.
std::int64_t compare_all(const Kind& kind, std::int64_t rows, std::int64_t cols, std::int64_t group_size,
                         std::int64_t num_rows, Data data) {
  CounterRng rng(static_cast<std::uint64_t>(rows * 1000003 + cols * 131 + num_rows), "packed");
  const PackedWeight weight = std::move(sample_weight(kind, rows, cols, group_size, data, rng)).value();
  const SampleRows x(num_rows, cols, weight.view().group_size, data, rng);
  const std::int64_t first = rows > 40 ? 1 : 0;
  const std::vector<float> expected = run_entry(variants().back().few, weight.view(), x.view, first, panels_of(rows));
  for (const Variant& variant : variants()) {
    if (!sys::can_use(variant.isa)) continue;
    for (const Run entry : {variant.few, variant.many}) {
      if (entry == nullptr) continue;
      const std::vector<float> out = run_entry(entry, weight.view(), x.view, first, panels_of(rows));
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
    for (const Data data : kAllData)
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
        const PackedWeight weight = std::move(sample_weight(kind, 81, 200, group, Data::random, rng)).value();
        const SampleRows x(num_rows, 200, weight.view().group_size, Data::random, rng);
        EXPECT_TRUE(same_bits(run_entry(many_on_emulated_tiles, weight.view(), x.view, 0, 6),
                              run_entry(variants().back().few, weight.view(), x.view, 0, 6)))
            << "codes " << static_cast<int>(kind.codes) << " groups " << static_cast<int>(kind.groups) << " group "
            << group << " rows " << num_rows;
      }
    }
}
#endif

// The longest sum that is allowed, of the largest products: INT32 holds it.
TEST(Packed, LongestRowsDoNotOverflow) {
  for (const Kind& kind :
       {Kind{Codes::u4, Groups::two_level}, Kind{Codes::u8, Groups::f16_fixed}, Kind{Codes::u8, Groups::f16}})
    for (const Data data : {Data::all_minimum, Data::all_maximum}) compare_all(kind, 17, kMaxInputs, -1, 6, data);
}

TEST(Packed, CodesLieWhereTheLayoutSays) {
  for (const Kind& kind : kinds()) {
    CounterRng rng(8, "codes");
    std::vector<std::uint8_t> codes;
    const PackedWeight weight =
        std::move(sample_weight(kind, 35, 200, has_super(kind.groups) ? 16 : 64, Data::random, rng, &codes)).value();
    for (std::int64_t row = 0; row < 35; ++row)
      for (std::int64_t k = 0; k < 200; ++k)
        ASSERT_EQ(code_of(weight.view(), row, k), codes[static_cast<std::size_t>(row * 200 + k)]);
  }
}

// An independent definition: the value of each weight times the value of each activation, in double.
TEST(Packed, FollowsTheDefinition) {
  for (const Kind& kind : kinds()) {
    CounterRng rng(7, "definition");
    const PackedWeight weight =
        std::move(sample_weight(kind, 19, 200, has_super(kind.groups) ? 16 : 64, Data::random, rng)).value();
    const SampleRows x(3, 200, weight.view().group_size, Data::random, rng);
    const std::vector<float> out = run_entry(variants().back().few, weight.view(), x.view, 0, 2);
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
