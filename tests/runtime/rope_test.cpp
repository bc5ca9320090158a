#include "runtime/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <thread>
#include <vector>

namespace quernel::runtime {
namespace {

model::RopeConfig scaled(model::RopeScaling scaling) {
  model::RopeConfig config;
  config.rotary_dim = 16;
  config.scaling = scaling;
  config.factor = 8.0;
  config.original_context = 64;
  return config;
}

void expect_frequencies(const model::RopeConfig& config, const std::vector<double>& wanted) {
  const std::vector<double> found = rope_frequencies(config);
  ASSERT_EQ(found.size(), wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(found[i] / wanted[i], 1.0, 3e-7) << "frequency " << i;
}

model::ModelConfig model_config() {
  model::ModelConfig config;
  config.num_layers = 2;
  config.layers.resize(2);
  config.head_dim = 6;
  config.rope.rotary_dim = 4;
  config.rope.theta = 100.0;
  return config;
}

// Values of Transformers 5.23 (float32) for the same settings.
TEST(Rope, FrequenciesMatchTransformers) {
  expect_frequencies(scaled(model::RopeScaling::linear),
                     {0.125, 0.0395284705, 0.0125000002, 0.00395284733, 0.00124999997, 0.000395284733, 0.000125000006,
                      3.95284733e-05});
  model::RopeConfig llama3 = scaled(model::RopeScaling::llama3);
  llama3.theta = 5e5;
  expect_frequencies(llama3, {1.0, 0.079403013, 0.00470075384, 0.000911583134, 0.000176776681, 3.42810235e-05,
                              6.64786967e-06, 1.28917316e-06});
  expect_frequencies(scaled(model::RopeScaling::yarn), {1.0, 0.223994657, 0.0416666642, 0.00395284733, 0.00124999997,
                                                        0.000395284733, 0.000125000006, 3.95284733e-05});
  model::RopeConfig exact = scaled(model::RopeScaling::yarn);
  exact.truncate = false;
  exact.beta_fast = 8.0;
  exact.beta_slow = 2.0;
  expect_frequencies(exact, {1.0, 0.134649381, 0.0125000002, 0.00395284733, 0.00124999997, 0.000395284733,
                             0.000125000006, 3.95284733e-05});
}

TEST(Rope, FileFactorsDivide) {
  model::RopeConfig config;
  config.rotary_dim = 4;
  config.theta = 100.0;
  config.frequency_factors = {2.0F, 8.0F};
  expect_frequencies(config, {0.5, 0.0125});
}

TEST(Rope, AnglesOfFarPositions) {
  const auto table = RopeTable::make(model_config());
  EXPECT_EQ(table->rotary_dim(false), 4);
  for (const std::int64_t position : {0, 1, 1023, 1024, 100000, 16777215}) {
    const RopeTable::Angles angles = table->at(position, false);
    for (std::size_t i = 0; i < 2; ++i) {
      const double angle = static_cast<double>(position) * (i == 0 ? 1.0 : 0.1);
      EXPECT_FLOAT_EQ(angles.cos[i], static_cast<float>(std::cos(angle))) << position;
      EXPECT_FLOAT_EQ(angles.sin[i], static_cast<float>(std::sin(angle))) << position;
    }
  }
}

TEST(Rope, YarnScalesCosAndSin) {
  model::ModelConfig config = model_config();
  config.rope.scaling = model::RopeScaling::yarn;
  config.rope.attention_factor = 1.25;
  EXPECT_FLOAT_EQ(RopeTable::make(config)->at(0, false).cos[0], 1.25F);
  EXPECT_FLOAT_EQ(RopeTable::make(config)->at(3, false).sin[0], static_cast<float>(1.25 * std::sin(3.0)));
}

TEST(Rope, LocalLayersHaveTheirOwnAngles) {
  model::ModelConfig config = model_config();
  config.rope_local = config.rope;
  config.rope_local.theta = 4.0;
  EXPECT_FLOAT_EQ(RopeTable::make(config)->at(1, true).cos[1], std::cos(0.1F)) << "no layer asks for local angles";
  config.layers[1].local_rope = true;
  EXPECT_FLOAT_EQ(RopeTable::make(config)->at(1, true).cos[1], std::cos(0.5F));
  EXPECT_FLOAT_EQ(RopeTable::make(config)->at(1, false).cos[1], std::cos(0.1F));
}

TEST(Rope, RotatesTheLeadingElementsInHalves) {
  const auto table = RopeTable::make(model_config());
  std::vector<float> head{1, 2, 3, 4, 5, 6};
  rotate_head(table->at(1, false), head);
  const double c0 = std::cos(1.0), s0 = std::sin(1.0), c1 = std::cos(0.1), s1 = std::sin(0.1);
  const std::vector<double> wanted{c0 - 3 * s0, 2 * c1 - 4 * s1, 3 * c0 + s0, 4 * c1 + 2 * s1, 5, 6};
  for (std::size_t i = 0; i < head.size(); ++i) EXPECT_NEAR(static_cast<double>(head[i]), wanted[i], 1e-6);
}

TEST(Rope, ThreadsMayAskAtOnce) {
  const auto table = RopeTable::make(model_config());
  std::vector<std::thread> threads;
  std::vector<const float*> found(4);
  for (std::size_t i = 0; i < found.size(); ++i) {
    threads.emplace_back([&, i] {
      for (std::int64_t position = 0; position < 20000; position += 500)
        found[i] = table->at(position, false).cos.data();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const float* pointer : found) EXPECT_EQ(pointer, found[0]);
}

}  // namespace
}  // namespace quernel::runtime
