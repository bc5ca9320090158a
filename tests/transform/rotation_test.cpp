#include <gtest/gtest.h>

#include "transform/naive.h"
#include "transform/rows.h"

namespace quernel::transform {
namespace {

using model::Linear;

// Columns are orthonormal where W = Q (rows of the identity turned): what change_embedding does to unit rows.
Matrix residual_rotation(const ModelChange& change, std::int64_t size, sys::ThreadPool& pool) {
  Matrix q(size, size);
  for (std::int64_t i = 0; i < size; ++i) q(i, i) = 1.0F;
  change.change_embedding(q, pool);
  return q;
}

runtime::EndWeights ends_of(std::int64_t hidden) {
  runtime::EndWeights ends;
  ends.final_norm.assign(static_cast<std::size_t>(hidden), 2.0F);
  return ends;
}

TEST(Rotation, TurnsEveryWeightAsThePaperSays) {
  const model::ModelConfig config = small_config();  // hidden 28: a core of Paley's
  sys::ThreadPool pool(2);
  const auto change = make_rotation(config, ends_of(28), {});
  const Matrix q = residual_rotation(*change, 28, pool);
  for (std::int64_t i = 0; i < 28; ++i)
    for (std::int64_t j = 0; j < 28; ++j) {
      double dot = 0;
      for (std::int64_t k = 0; k < 28; ++k) dot += double{q(i, k)} * double{q(j, k)};
      ASSERT_NEAR(dot, i == j ? 1.0 : 0.0, 1e-6);
      ASSERT_NEAR(std::abs(q(i, j)), 1.0 / std::sqrt(28.0), 1e-7);
    }
  const runtime::LayerWeights before = small_layer(config);
  runtime::LayerWeights after = small_layer(config);
  after.linears[static_cast<std::size_t>(Linear::down)].bias.assign(28, 1.0F);
  change->change_layer(after, pool);
  for (std::int64_t r = 0; r < 3; ++r)
    for (std::int64_t c = 0; c < 28; ++c) {
      double gate = 0;  // W diag(g) Q, g = 0.5
      double down = 0;  // Q^T W
      double bias = 0;
      for (std::int64_t k = 0; k < 28; ++k) {
        gate += 0.5 * double{before.linear(Linear::gate).f32(r, k)} * double{q(k, c)};
        down += double{q(k, c)} * double{before.linear(Linear::down).f32(k, r)};
        bias += double{q(k, c)};
      }
      EXPECT_NEAR(after.linear(Linear::gate).f32(r, c), gate, 1e-5);
      EXPECT_NEAR(after.linear(Linear::down).f32(c, r), down, 1e-5);
      EXPECT_NEAR(after.linear(Linear::down).bias[static_cast<std::size_t>(c)], bias, 1e-5);
    }
  EXPECT_EQ(after.mlp_norm, std::vector<float>(28, 1.0F));
  EXPECT_TRUE(change->unties());
}

// o(values) of one token: values [kv heads][8], every query head reading one of them whole.
std::vector<double> through_o(const runtime::LayerWeights& weights, const std::vector<double>& input) {
  std::vector<double> values(16, 0.0);
  for (std::int64_t i = 0; i < 16; ++i)
    for (std::int64_t k = 0; k < 28; ++k)
      values[static_cast<std::size_t>(i)] +=
          double{weights.linear(Linear::v).f32(i, k)} * input[static_cast<std::size_t>(k)];
  std::vector<double> out(28, 0.0);
  for (std::int64_t i = 0; i < 28; ++i)
    for (std::int64_t head = 0; head < 4; ++head)
      for (std::int64_t d = 0; d < 8; ++d)
        out[static_cast<std::size_t>(i)] +=
            double{weights.linear(Linear::o).f32(i, head * 8 + d)} * values[static_cast<std::size_t>(head / 2 * 8 + d)];
  return out;
}

TEST(Rotation, OfValuesIsUndoneByO) {
  const model::ModelConfig config = small_config();
  sys::ThreadPool pool(2);
  TransformSpec without;
  without.quarot_values = false;
  runtime::LayerWeights turned = small_layer(config);
  runtime::LayerWeights plain = small_layer(config);
  make_rotation(config, ends_of(28), {})->change_layer(turned, pool);
  make_rotation(config, ends_of(28), without)->change_layer(plain, pool);
  EXPECT_GT(std::abs(turned.linear(Linear::v).f32(1, 1) - plain.linear(Linear::v).f32(1, 1)), 1e-3F);
  const Matrix input = normal_matrix(1, 28, 77);
  const std::vector<double> x(input.data(), input.data() + 28);
  const std::vector<double> a = through_o(turned, x);
  const std::vector<double> b = through_o(plain, x);
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-4);
}

TEST(Rotation, SeedChangesTheSignsAndThreadsChangeNothing) {
  const model::ModelConfig config = small_config();
  sys::ThreadPool one(1);
  sys::ThreadPool three(3);
  TransformSpec other;
  other.quarot_seed = 1;
  const Matrix a = residual_rotation(*make_rotation(config, ends_of(28), {}), 28, one);
  const Matrix b = residual_rotation(*make_rotation(config, ends_of(28), {}), 28, three);
  const Matrix c = residual_rotation(*make_rotation(config, ends_of(28), other), 28, one);
  EXPECT_TRUE(std::equal(a.data(), a.data() + a.size(), b.data()));
  EXPECT_FALSE(std::equal(a.data(), a.data() + a.size(), c.data()));
}

TEST(Rotation, NormsAfterABranchAreRefused) {
  model::ModelConfig config = small_config();
  EXPECT_TRUE(check_rotation(config, {}).ok());
  config.norm_after = true;
  const Status status = check_rotation(config, {});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().fault, Fault::unsupported);
  EXPECT_NE(status.error().found.find("residual stream"), std::string::npos);
}

}  // namespace
}  // namespace quernel::transform
