#include "calib/memory_plan.h"

#include <gtest/gtest.h>

namespace quernel::calib {
namespace {

model::ModelConfig smol_shape() {
  model::ModelConfig config;
  config.architecture = "LlamaForCausalLM";
  config.family = "llama";
  config.vocab_size = 49152;
  config.hidden_size = 576;
  config.intermediate_size = 1536;
  config.num_layers = 30;
  config.num_heads = 9;
  config.num_kv_heads = 3;
  config.head_dim = 64;
  config.layers.resize(30);
  return config;
}

TEST(MemoryPlan, CountsTheParts) {
  const auto plan = plan_memory(smol_shape(), 128, 512, 0);
  ASSERT_TRUE(plan.ok());
  EXPECT_FALSE(plan->recompute);
  EXPECT_FALSE(plan->spill);
  EXPECT_EQ(plan->hidden_bytes, 128U * 512 * 576 * 4);
  EXPECT_EQ(plan->scratch_bytes, 128U * 512 * 1536 * 4);
  EXPECT_EQ(plan->hessian_bytes, 1536U * 1536 * 4);
  EXPECT_EQ(plan->layer_bytes, (2U * 576 * 576 + 2U * 192 * 576 + 3U * 576 * 1536) * 4);
  EXPECT_LT(plan->memory_bytes(), 1000U << 20);  // the whole job is to stay under 1.1 GB
  EXPECT_EQ(plan->disk_bytes(), 0U);
}

TEST(MemoryPlan, GivesWayStepByStep) {
  const auto in_memory = plan_memory(smol_shape(), 128, 512, 0);
  ASSERT_TRUE(in_memory.ok());
  const std::uint64_t most = in_memory->memory_bytes();
  EXPECT_FALSE(plan_memory(smol_shape(), 128, 512, most)->recompute);
  const auto recompute = plan_memory(smol_shape(), 128, 512, most - 1);
  ASSERT_TRUE(recompute.ok());
  EXPECT_TRUE(recompute->recompute);
  EXPECT_FALSE(recompute->spill);
  EXPECT_EQ(recompute->memory_bytes(), most - in_memory->scratch_bytes);
  const auto spill = plan_memory(smol_shape(), 128, 512, recompute->memory_bytes() - 1);
  ASSERT_TRUE(spill.ok());
  EXPECT_TRUE(spill->spill);
  EXPECT_EQ(spill->disk_bytes(), in_memory->hidden_bytes);
  const auto refused = plan_memory(smol_shape(), 128, 512, spill->memory_bytes() - 1);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().fault, Fault::out_of_memory);
  EXPECT_TRUE(refused.error().expected.starts_with(std::to_string(spill->memory_bytes()) + " bytes"))
      << to_string(refused.error());
}

TEST(MemoryPlan, ChunksHoldWholeSequences) {
  EXPECT_EQ(sequences_per_chunk(512), 4);
  EXPECT_EQ(sequences_per_chunk(2048), 1);
  EXPECT_EQ(sequences_per_chunk(8192), 1);
  EXPECT_EQ(sequences_per_chunk(1), 2048);
}

}  // namespace
}  // namespace quernel::calib
