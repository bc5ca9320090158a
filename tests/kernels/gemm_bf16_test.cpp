#include "kernels/gemm_bf16/gemm_bf16.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "kernels/gemm_bf16_problem.h"

namespace quernel::kernels::gemm_bf16 {
namespace {

class GemmBf16 : public ::testing::TestWithParam<Variant> {
 protected:
  [[nodiscard]] const Functions& functions() const { return GetParam().functions; }
  sys::ThreadPool pool_{2};
};
INSTANTIATE_TEST_SUITE_P(Variants, GemmBf16, ::testing::ValuesIn(variants().begin(), variants().end()),
                         test_name<Variant>);

TEST_P(GemmBf16, PacksAsTheReferenceDoes) {
  QUERNEL_SKIP_UNUSABLE(GetParam());
  const Functions& reference = variants().back().functions;
  auto values = normal_values(80 * 80, "pack", 100.0);
  const std::vector<float> special{0.0F, -0.0F, 1e-39F, -1e-39F, 3.4e38F, -3.4e38F, 1.00390625F, 1.01171875F, INFINITY};
  for (std::size_t i = 0; i < special.size(); ++i) values[i * 83] = special[i];
  std::vector<std::uint16_t> bf16(values.size());
  float_to_bf16(values, bf16);
  for (std::int64_t lanes = 1; lanes <= 16; ++lanes)
    for (std::int64_t depth = 1; depth <= 70; ++depth)
      for (int kind = 0; kind < 5; ++kind) {
        const void* source =
            kind == 2 ? static_cast<const void*>(bf16.data() + 1) : static_cast<const void*>(values.data() + 1);
        const auto run = [&](const Functions& f) {
          std::vector<std::uint16_t> out(static_cast<std::size_t>(3 * kTileElements), 0xABCD);
          const Pack packs[] = {f.pack_a_rows, f.pack_b_rows, f.pack_b_rows_bf16, f.pack_a_columns, f.pack_b_columns};
          packs[kind]({source, 79, lanes, depth, out.data()});
          return out;
        };
        ASSERT_EQ(run(functions()), run(reference)) << "kind " << kind << " lanes " << lanes << " depth " << depth;
      }
}

TEST_P(GemmBf16, GemmMatchesTheDefinition) {
  QUERNEL_SKIP_UNUSABLE(GetParam());
  for (std::int64_t size = 1; size <= 50; ++size)
    check_gemm_nt(functions(), size, 51 - size, 1 + size * 7 % 67, size % 2 == 0, pool_);
  check_gemm_nt(functions(), 130, 200, 100, true, pool_);
  check_gemm_nt(functions(), 33, 49, 900, false, pool_);
}

TEST_P(GemmBf16, SumsOverRowsMatchTheDefinition) {
  QUERNEL_SKIP_UNUSABLE(GetParam());
  for (std::int64_t n = 1; n <= 40; ++n) check_syrk(functions(), 1 + n * 5 % 71, n, pool_);
  check_syrk(functions(), 50, 300, pool_);
  check_syrk(functions(), 1700, 20, pool_);  // more rows than one round
  for (std::int64_t n = 1; n <= 40; ++n) check_gemm_tn(functions(), 1 + n * 11 % 67, n, 41 - n, pool_);
  check_gemm_tn(functions(), 1600, 17, 33, pool_);
}

TEST_P(GemmBf16, Bf16WeightsGiveTheSameBits) {
  QUERNEL_SKIP_UNUSABLE(GetParam());
  const Matrix a = random_matrix(37, 100, "a");
  Matrix b = random_matrix(45, 100, "b");
  std::vector<std::uint16_t> bits(static_cast<std::size_t>(b.size()));
  float_to_bf16({b.data(), bits.size()}, bits);
  bf16_to_float(bits, {b.data(), bits.size()});
  Matrix from_float(37, 45), from_bf16(37, 45);
  gemm_nt_with(functions(), a, b.view(), from_float, false, pool_);
  gemm_nt_with(functions(), a, Bf16View(bits.data(), 45, 100), from_bf16, false, pool_);
  EXPECT_TRUE(same_bits(from_float, from_bf16));
}

TEST_P(GemmBf16, ThreadsAndNeighbouringRowsDoNotChangeABit) {
  QUERNEL_SKIP_UNUSABLE(GetParam());
  if (GetParam().isa == sys::Isa::scalar) GTEST_SKIP() << "slow, and there is nothing to go wrong";
  const Matrix a = random_matrix(300, 450, "a");
  const Matrix b = random_matrix(400, 450, "b");
  Matrix whole(300, 400), syrk(450, 450), tn(450, 450);
  {
    sys::ThreadPool one(1);
    gemm_nt_with(functions(), a, b.view(), whole, false, one);
    syrk_accumulate_with(functions(), a, syrk, one);
    gemm_tn_accumulate_with(functions(), a, a, tn, one);
  }
  for (const int threads : {2, 4}) {
    sys::ThreadPool pool(threads);
    Matrix whole2(300, 400), syrk2(450, 450), tn2(450, 450);
    gemm_nt_with(functions(), a, b.view(), whole2, false, pool);
    syrk_accumulate_with(functions(), a, syrk2, pool);
    gemm_tn_accumulate_with(functions(), a, a, tn2, pool);
    EXPECT_TRUE(same_bits(whole, whole2));
    EXPECT_TRUE(same_bits(syrk, syrk2));
    EXPECT_TRUE(same_bits(tn, tn2));
  }
  for (const std::int64_t first : {0, 5, 131}) {
    const std::int64_t count = 1 + first % 19;
    Matrix rows(count, 400);
    gemm_nt_with(functions(), a.view().row_block(first, count), b.view(), rows, false, pool_);
    for (std::int64_t r = 0; r < count; ++r)
      for (std::int64_t c = 0; c < 400; ++c) ASSERT_EQ(rows(r, c), whole(first + r, c)) << first << " " << r;
  }
}

TEST_P(GemmBf16, ExtremesStayWhereTheyBelong) {
  QUERNEL_SKIP_UNUSABLE(GetParam());
  Matrix a = random_matrix(20, 40, "a");
  const Matrix b = random_matrix(20, 40, "b");
  Matrix out(20, 20);
  a(3, 39) = std::numeric_limits<float>::quiet_NaN();
  a(5, 0) = std::numeric_limits<float>::infinity();
  for (std::int64_t k = 0; k < 40; ++k) a(7, k) = 1e-40F;
  gemm_nt_with(functions(), a, b.view(), out, false, pool_);
  for (std::int64_t i = 0; i < 20; ++i)
    for (std::int64_t j = 0; j < 20; ++j) {
      if (i == 3) {
        ASSERT_TRUE(std::isnan(out(i, j)));
      } else if (i == 5) {
        ASSERT_FALSE(std::isfinite(out(i, j)));
      } else if (i == 7) {
        ASSERT_LE(std::fabs(out(i, j)), 1e-36F);
      } else {
        ASSERT_TRUE(std::isfinite(out(i, j)));
      }
    }
}

TEST_P(GemmBf16, EmptyShapes) {
  QUERNEL_SKIP_UNUSABLE(GetParam());
  Matrix out(3, 4);
  out.fill(5.0F);
  gemm_nt_with(functions(), Matrix(3, 0), Matrix(4, 0).view(), out, true, pool_);
  EXPECT_EQ(out(2, 3), 5.0F);
  gemm_nt_with(functions(), Matrix(3, 0), Matrix(4, 0).view(), out, false, pool_);
  EXPECT_EQ(out(2, 3), 0.0F);
  Matrix square(4, 4);
  syrk_accumulate_with(functions(), Matrix(0, 4), square, pool_);
  EXPECT_EQ(square(3, 3), 0.0F);
}

TEST(GemmBf16Choice, TheReferenceIsNeverCalledFast) {
  const bool reference = variants().back().name == std::string(variant_name());
  EXPECT_FALSE(reference && fast_bf16());
}

}  // namespace
}  // namespace quernel::kernels::gemm_bf16
