#include "kernels/rowwise/rowwise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/kernel_test.h"
#include "kernels/rowwise/table.h"

namespace quernel::kernels::rowwise {
namespace {

constexpr double kUnit = 0x1.0p-24;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kUntouched = 12345.0F;

class Rowwise : public ::testing::TestWithParam<Variant> {
 protected:
  [[nodiscard]] const Functions& functions() const { return GetParam().functions; }
};
INSTANTIATE_TEST_SUITE_P(Variants, Rowwise, ::testing::ValuesIn(variants().begin(), variants().end()),
                         test_name<Variant>);

// The smallest float step counts where a bound goes below it.
void expect_close(float found, double expected, double relative, std::int64_t size, std::size_t index) {
  ASSERT_NEAR(found, expected, relative * std::fabs(expected) + 0x1.0p-148) << "size " << size << " index " << index;
}

template <class Check>
void for_sizes(Check check) {
  for (std::int64_t size = 1; size <= 130; ++size) check(size);
  for (const std::int64_t size : {576, 1536, 49152}) check(size);
}

TEST_P(Rowwise, RmsNorm) {
  QUERNEL_SKIP_UNUSABLE(GetParam());
  for_sizes([&](std::int64_t size) {
    const auto x = normal_values(size + 1, "x", 20.0);
    const auto weight = normal_values(size, "weight");
    double squares = 0;
    for (std::int64_t i = 0; i < size; ++i)
      squares += double{x[static_cast<std::size_t>(i) + 1]} * x[static_cast<std::size_t>(i) + 1];
    const double scale = 1.0 / std::sqrt(squares / static_cast<double>(size) + double{1e-5F});
    std::vector<float> out(static_cast<std::size_t>(size) + 1, kUntouched);
    for (const bool weighted : {true, false}) {
      functions().rms_norm(x.data() + 1, weighted ? weight.data() : nullptr, 1e-5F, out.data(), size);
      for (std::size_t i = 0; i + 1 < out.size(); ++i)
        expect_close(out[i], x[i + 1] * scale * (weighted ? weight[i] : 1.0),
                     (static_cast<double>(size) / 32 + 8) * kUnit, size, i);
      ASSERT_EQ(out.back(), kUntouched);
    }
  });
}

TEST_P(Rowwise, RmsNormOfZerosAndInPlace) {
  QUERNEL_SKIP_UNUSABLE(GetParam());
  std::vector<float> x(37, 0.0F);
  functions().rms_norm(x.data(), nullptr, 1e-6F, x.data(), 37);
  EXPECT_EQ(x, std::vector<float>(37, 0.0F));
  x.assign(37, 2.0F);
  functions().rms_norm(x.data(), nullptr, 0.0F, x.data(), 37);
  for (const float value : x) EXPECT_NEAR(value, 1.0F, 4 * kUnit);
}

// Gates over the whole range of floats in which anything happens.
std::vector<float> gate_values(std::int64_t size) {
  auto gate = normal_values(size, "gate", 4.0);
  const std::vector<float> special{0.0F, -0.0F, 1e-40F, -1e-40F, 80.0F, -80.0F, -87.5F, -100.0F, 3e38F, -3e38F, 1e-8F};
  for (std::size_t i = 0; i < special.size() && size >= 60; ++i) gate[i * 5] = special[i];
  return gate;
}

TEST_P(Rowwise, SiluMul) {
  QUERNEL_SKIP_UNUSABLE(GetParam());
  for_sizes([&](std::int64_t size) {
    const auto gate = gate_values(size);
    const auto up = normal_values(size, "up", 0.5);
    std::vector<float> out(gate.size() + 1, kUntouched);
    functions().silu_mul(gate.data(), up.data(), out.data(), size);
    for (std::size_t i = 0; i < gate.size(); ++i) {
      const double expected = double{gate[i]} / (1.0 + std::exp(-double{gate[i]})) * double{up[i]};
      if (std::fabs(expected) > 3.4e38) continue;
      if (gate[i] < -87.0F) {  // e^-gate nears or passes the largest float: the result may vanish early
        ASSERT_LT(std::fabs(out[i] - expected), 1e-36) << gate[i];
        continue;
      }
      expect_close(out[i], expected, 8 * kUnit, size, i);
    }
    ASSERT_EQ(out.back(), kUntouched);
  });
}

TEST_P(Rowwise, GeluTanhMul) {
  QUERNEL_SKIP_UNUSABLE(GetParam());
  for_sizes([&](std::int64_t size) {
    const auto gate = gate_values(size);
    const auto up = normal_values(size, "up", 0.5);
    std::vector<float> out(gate.size() + 1, kUntouched);
    functions().gelu_tanh_mul(gate.data(), up.data(), out.data(), size);
    for (std::size_t i = 0; i < gate.size(); ++i) {
      const double g = gate[i];
      const double argument = 2 * std::sqrt(2.0 / M_PI) * (g + 0.044715 * g * g * g);
      const double expected = g / (1.0 + std::exp(-argument)) * up[i];
      if (std::fabs(expected) > 3.4e38) continue;
      if (argument < -87.0) {
        ASSERT_LT(std::fabs(out[i] - expected), 1e-36) << gate[i];
        continue;
      }
      expect_close(out[i], expected, (16 + 8 * std::fabs(std::fmin(argument, 0.0))) * kUnit, size, i);
    }
    ASSERT_EQ(out.back(), kUntouched);
  });
}

TEST_P(Rowwise, AddScaled) {
  QUERNEL_SKIP_UNUSABLE(GetParam());
  for_sizes([&](std::int64_t size) {
    const auto x = normal_values(size, "x");
    auto y = normal_values(size + 1, "y");
    const auto before = y;
    functions().add_scaled(x.data(), -0.375F, y.data(), size);
    for (std::size_t i = 0; i < x.size(); ++i)
      ASSERT_EQ(y[i], static_cast<float>(-0.375 * double{x[i]} + double{before[i]})) << i;
    ASSERT_EQ(y.back(), before.back());
  });
}

TEST_P(Rowwise, SoftCap) {
  QUERNEL_SKIP_UNUSABLE(GetParam());
  for_sizes([&](std::int64_t size) {
    for (const float cap : {30.0F, 0.5F}) {
      auto x = gate_values(size);
      x.push_back(kUntouched);
      const auto before = x;
      functions().soft_cap(x.data(), cap, size);
      for (std::size_t i = 0; i + 1 < x.size(); ++i)
        ASSERT_NEAR(x[i], cap * std::tanh(double{before[i]} / cap),
                    8 * kUnit * std::fabs(cap * std::tanh(double{before[i]} / cap)) + (cap + 2) * 0x1.0p-149)
            << size << " index " << i;
      ASSERT_EQ(x.back(), kUntouched);
    }
  });
}

TEST_P(Rowwise, Softmax) {
  QUERNEL_SKIP_UNUSABLE(GetParam());
  for_sizes([&](std::int64_t size) {
    auto x = normal_values(size + 1, "x", 12.0);
    x.back() = kUntouched;
    const auto before = x;
    double top = -INFINITY;
    for (std::size_t i = 0; i + 1 < x.size(); ++i) top = std::fmax(top, before[i]);
    double sum = 0;
    for (std::size_t i = 0; i + 1 < x.size(); ++i) sum += std::exp(before[i] - top);
    functions().softmax(x.data(), size);
    for (std::size_t i = 0; i + 1 < x.size(); ++i)
      expect_close(x[i], std::exp(before[i] - top) / sum,
                   (static_cast<double>(size) / 16 + 16 + (top - before[i])) * kUnit, size, i);
    ASSERT_EQ(x.back(), kUntouched);
  });
}

TEST_P(Rowwise, SoftmaxExtremes) {
  QUERNEL_SKIP_UNUSABLE(GetParam());
  std::vector<float> x(35, -kInfinity);
  x[33] = -3e38F;
  functions().softmax(x.data(), 35);
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_EQ(x[i], i == 33 ? 1.0F : 0.0F);
  x.assign(35, 0.0F);
  x[4] = 3e38F;
  functions().softmax(x.data(), 35);
  EXPECT_EQ(x[4], 1.0F);
  EXPECT_EQ(x[34], 0.0F);
  x.assign(20, 1.0F);
  x[17] = kNan;
  functions().softmax(x.data(), 20);
  EXPECT_TRUE(std::isnan(x[17]));
}

TEST_P(Rowwise, LogSumExp) {
  QUERNEL_SKIP_UNUSABLE(GetParam());
  for_sizes([&](std::int64_t size) {
    for (const double offset : {0.0, 500.0, -3000.0}) {
      auto x = normal_values(size, "x", 6.0);
      for (float& value : x) value += static_cast<float>(offset);
      double top = -INFINITY;
      for (const float value : x) top = std::fmax(top, value);
      double sum = 0;
      for (const float value : x) sum += std::exp(value - top);
      ASSERT_NEAR(functions().log_sum_exp(x.data(), size), top + std::log(sum), 0x1.0p-22) << size;
    }
  });
  std::vector<float> x(100, -kInfinity);
  x[99] = 7.5F;
  EXPECT_EQ(functions().log_sum_exp(x.data(), 100), 7.5);
}

TEST(RowwiseLevels, VectorVariantsAgreeBitForBit) {
  std::vector<Variant> usable;
  for (const Variant& variant : variants())
    if (variant.isa != sys::Isa::scalar && sys::can_use(variant.isa)) usable.push_back(variant);
  if (usable.size() < 2) GTEST_SKIP() << "fewer than two vector levels on this CPU";
  for (const std::int64_t size : {1, 16, 17, 31, 130, 577}) {
    const auto gate = gate_values(size);
    const auto up = normal_values(size, "up");
    const auto outputs = [&](const Functions& f) {
      std::vector<float> all;
      std::vector<float> out(gate.size());
      const auto keep = [&] { all.insert(all.end(), out.begin(), out.end()); };
      f.rms_norm(up.data(), gate.data(), 1e-5F, out.data(), size), keep();
      f.silu_mul(gate.data(), up.data(), out.data(), size), keep();
      f.gelu_tanh_mul(gate.data(), up.data(), out.data(), size), keep();
      out = up, f.add_scaled(gate.data(), 0.1F, out.data(), size), keep();
      out = gate, f.soft_cap(out.data(), 30.0F, size), keep();
      out = up, f.softmax(out.data(), size), keep();
      all.push_back(static_cast<float>(f.log_sum_exp(up.data(), size)));
      return all;
    };
    const auto first = outputs(usable[0].functions);
    for (const Variant& other : usable) EXPECT_TRUE(same_bits(first, outputs(other.functions))) << other.name << size;
  }
}

}  // namespace
}  // namespace quernel::kernels::rowwise
