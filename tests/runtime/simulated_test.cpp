#include "runtime/simulated.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "base/rng.h"
#include "runtime/block.h"
#include "runtime/model_fixture.h"
#include "tensor/hadamard.h"
#include "tensor/half.h"

namespace quernel::runtime {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(Simulated, SymmetricGroupByHand) {
  // largest 12.7: scale 0.1, codes round(x * 10)
  std::array<float, 5> eight{12.7F, -6.34F, 0.04F, -0.06F, 0.0F};
  simulate_group(8, false, eight);
  const float scale = 12.7F / 127.0F;
  EXPECT_EQ(eight[0], scale * 127.0F);
  EXPECT_EQ(eight[1], scale * -63.0F);
  EXPECT_EQ(eight[2], 0.0F);
  EXPECT_EQ(eight[3], scale * -1.0F);
  EXPECT_EQ(eight[4], 0.0F);
  // Ties go to even: 7 / 7 = 1 a step.
  std::array<float, 6> four{7.0F, 0.5F, 1.5F, 2.5F, -0.5F, -3.5F};
  simulate_group(4, false, four);
  EXPECT_EQ(four, (std::array<float, 6>{7.0F, 0.0F, 2.0F, 2.0F, 0.0F, -4.0F}));
}

TEST(Simulated, AsymmetricGroupByHand) {
  // low -5, high 10: scale 1, zero 5
  std::array<float, 4> values{-5.0F, 10.0F, 2.4F, -0.6F};
  simulate_group(4, true, values);
  EXPECT_EQ(values, (std::array<float, 4>{-5.0F, 10.0F, 2.0F, -1.0F}));
  std::array<float, 3> positive{30.0F, 14.0F, 3.0F};  // the range begins at 0: scale 2
  simulate_group(4, true, positive);
  EXPECT_EQ(positive, (std::array<float, 3>{30.0F, 14.0F, 4.0F}));
}

TEST(Simulated, HeadByHand) {
  // min 100, max 115: scale 1, offset 100; the range need not hold 0
  std::array<float, 4> head{100.0F, 115.0F, 107.4F, 107.6F};
  simulate_head(4, head);
  EXPECT_EQ(head, (std::array<float, 4>{100.0F, 115.0F, 107.0F, 108.0F}));
  // scale and offset are halves
  std::vector<float> values(64);
  CounterRng rng(3, "head");
  for (float& value : values) value = static_cast<float>(rng.normal());
  const std::vector<float> before = values;
  simulate_head(8, values);
  const auto [low, high] = std::minmax_element(before.begin(), before.end());
  const float scale = f16_to_float(float_to_f16((*high - *low) / 255.0F));
  const float offset = f16_to_float(float_to_f16(*low));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const float code = (values[i] - offset) / scale;
    EXPECT_NEAR(code, std::round(code), 1e-3);
    EXPECT_NEAR(values[i], before[i], 0.51F * scale + 1e-3F);
  }
}

TEST(Simulated, DegenerateValuesStayFiniteOrVisible) {
  for (const bool asymmetric : {false, true}) {
    std::array<float, 3> zeros{};
    simulate_group(8, asymmetric, zeros);
    EXPECT_EQ(zeros, (std::array<float, 3>{}));
    std::array<float, 2> tiny{1e-38F, -1e-39F};
    simulate_group(4, asymmetric, tiny);
    EXPECT_LE(std::fabs(tiny[0]), 1.1e-38F);
    std::array<float, 2> huge{1.5e38F, -1e38F};
    simulate_group(8, asymmetric, huge);
    EXPECT_NEAR(huge[0] / 1.5e38F, 1.0F, 0.01F);
    std::array<float, 3> broken{1.0F, std::nanf(""), 2.0F};
    simulate_group(8, asymmetric, broken);
    EXPECT_TRUE(std::isnan(broken[1]));
    std::array<float, 3> endless{1.0F, kInfinity, 2.0F};
    simulate_group(8, asymmetric, endless);
    EXPECT_FALSE(std::isfinite(endless[1]));
  }
  std::array<float, 3> constant{0.7F, 0.7F, 0.7F};
  simulate_head(4, constant);
  for (const float value : constant) EXPECT_EQ(value, f16_to_float(float_to_f16(0.7F)));
  std::array<float, 2> wide{-3e38F, 3e38F};
  simulate_head(4, wide);
  EXPECT_EQ(wide[1], 3e38F);
  std::array<float, 2> broken{std::nanf(""), 1.0F};
  simulate_head(8, broken);
  EXPECT_TRUE(std::isnan(broken[0]));
}

TEST(Simulated, GroupsOfATokenStandAlone) {
  sys::ThreadPool pool(2);
  Matrix rows(3, 10);
  for (std::int64_t i = 0; i < rows.size(); ++i) rows.data()[i] = static_cast<float>(i * i % 17) - 8.0F;
  Matrix expected = rows.clone();
  for (std::int64_t row = 0; row < 3; ++row) {
    for (const auto& [first, count] : {std::pair<std::size_t, std::size_t>{0, 4}, {4, 4}, {8, 2}}) {
      simulate_group(4, true, expected.row(row).subspan(first, count));
    }
  }
  simulate_activations({.activation_bits = 4, .activation_group = 4, .activation_asymmetric = true}, rows, pool);
  EXPECT_TRUE(same_bits(rows, expected));
  Matrix untouched = rows.clone();
  simulate_activations({.kv_bits = 4}, rows, pool);
  simulate_kv({.activation_bits = 4}, 5, rows, pool);
  EXPECT_TRUE(same_bits(rows, untouched));
}

// Keys are rounded about their mean over the page: these lie on 16 steps about means of 100, 200, .. and come back whole.
TEST(Simulated, FullPageByHand) {
  const std::int64_t width = 4;
  Matrix keys(kPageTokens, width);
  Matrix values(kPageTokens, width);
  for (std::int64_t t = 0; t < kPageTokens; ++t) {
    for (std::int64_t k = 0; k < width; ++k) {
      const std::int64_t code = k == 0 ? 0 : k == 1 ? 15 : (t / 2 * (k + 2)) % 16;
      const float swing = static_cast<float>(code) - 7.5F;
      keys(t, k) = 100.0F * static_cast<float>(k + 1) + (t % 2 == 0 ? swing : -swing);
      values(t, k) = static_cast<float>(code) * 3.0F;
    }
  }
  const Matrix whole_keys = keys.clone();
  const Matrix whole_values = values.clone();
  Matrix uncentered = keys.clone();
  simulate_full_page(keys, values);
  EXPECT_TRUE(same_bits(keys, whole_keys));
  EXPECT_TRUE(same_bits(values, whole_values));
  for (std::int64_t t = 0; t < kPageTokens; ++t) simulate_head(4, uncentered.row(t));
  EXPECT_GT(largest_difference(uncentered, whole_keys), 5.0);
}

TEST(Simulated, SettingsAreNamedAndChecked) {
  EXPECT_EQ(to_string(SimulatedBits{}), "none");
  EXPECT_EQ(to_string(SimulatedBits{8, -1, false, 4}), "a8 kv4");
  EXPECT_EQ(to_string(SimulatedBits{4, 128, true, 16}), "a4 g128 asym");
  EXPECT_TRUE(validate(SimulatedBits{4, 128, true, 8}).ok());
  EXPECT_EQ(validate(SimulatedBits{.activation_bits = 6}).error().field, "--act-bits");
  EXPECT_EQ(validate(SimulatedBits{.kv_bits = 2}).error().field, "--kv-bits");
  EXPECT_EQ(validate(SimulatedBits{.activation_group = 0}).error().field, "--act-group");
}

// The forward pass with a cache sees the same keys and values as the one without, and finer bits come nearer.
TEST(Simulated, ForwardPassRoundsWhatTheLinearsAndTheCacheTake) {
  test::TinyModel tiny = test::tiny_llama();
  tiny.draw(8);
  const LoadedModel loaded(tiny);
  const auto tokens = test::random_tokens(4 * kPageTokens - 5, tiny.vocab, 2);
  const Matrix exact = loaded.logits(tokens);
  double last = 1e30;
  for (const SimulatedBits bits : {SimulatedBits{4, -1, false, 4}, SimulatedBits{8, -1, false, 8}}) {
    LoadedModel rounded(tiny);
    rounded.model = FloatModel::load(*rounded.checkpoint, rounded.pool, Precision::f32, bits).value();
    const Matrix whole = rounded.logits(tokens);
    const double difference = largest_difference(whole, exact);
    // Sums of another order may take a value over the edge between two codes, no more.
    for (const std::int64_t chunk : {std::int64_t{16}, kPageTokens - 9, kPageTokens + 11})
      EXPECT_LT(largest_difference(whole, rounded.logits(tokens, chunk)), 0.5 * difference) << chunk;
    EXPECT_GT(difference, 1e-6);
    EXPECT_LT(difference, last / 4.0);
    last = difference;
  }
  EXPECT_FALSE(FloatModel::load(*loaded.checkpoint, *std::make_unique<sys::ThreadPool>(1), Precision::f32,
                                {.activation_bits = 5})
                   .ok());
}

// R3 leaves the scores as they are; R4 undoes what the stored weight of down_proj holds.
TEST(Simulated, OnlineHadamardKeepsTheFunction) {
  test::TinyModel tiny = test::tiny_llama();
  tiny.draw(9);
  const auto tokens = test::random_tokens(30, tiny.vocab, 3);
  const Matrix expected = LoadedModel(tiny).logits(tokens);
  test::TinyModel turned = tiny;
  turned.config["quernel_runtime"] = {{"online_qk_hadamard", true}, {"online_down_hadamard", true}};
  const Hadamard transform(tiny.intermediate);
  ASSERT_GT(transform.block_size(), 1);
  for (std::int64_t layer = 0; layer < tiny.num_layers(); ++layer) {
    auto& down = turned.tensors.at("model.layers." + std::to_string(layer) + ".mlp.down_proj.weight");
    transform.apply(MatrixView(down.values.data(), down.rows, down.cols));
  }
  const LoadedModel loaded(turned);
  EXPECT_TRUE(loaded.checkpoint->config().has_online_transforms());
  EXPECT_LT(largest_difference(loaded.logits(tokens), expected), 1e-4);
  EXPECT_LT(largest_difference(loaded.logits(tokens, 7), expected), 1e-4);
  turned.config["quernel_runtime"] = {{"online_down_hadamard", false}};  // turned weights without the transform
  EXPECT_GT(largest_difference(LoadedModel(turned).logits(tokens), expected), 1e-2);
}

}  // namespace
}  // namespace quernel::runtime
