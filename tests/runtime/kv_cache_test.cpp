#include "runtime/kv_cache.h"

#include <gtest/gtest.h>

#include <utility>

namespace quernel::runtime {
namespace {

model::ModelConfig config() {
  model::ModelConfig config;
  config.num_layers = 2;
  config.num_heads = 6;
  config.num_kv_heads = 3;
  config.head_dim = 5;
  return config;
}

TEST(KvCache, EveryHeadHasMemoryOfItsOwn) {
  KvCache cache = KvCache::make(config(), 7).value();
  EXPECT_EQ(cache.max_tokens(), 7);
  EXPECT_EQ(cache.length(), 0);
  EXPECT_EQ(cache.bytes(), 2U * 2 * 3 * 7 * 5 * 4);
  float stamp = 0;
  for (std::int64_t layer = 0; layer < 2; ++layer) {
    for (std::int64_t head = 0; head < 3; ++head) {
      for (float& value : std::span(cache.keys(layer, head).data, 35)) value = stamp;
      for (float& value : std::span(cache.values(layer, head).data, 35)) value = stamp + 0.5F;
      stamp += 1;
    }
  }
  stamp = 0;
  for (std::int64_t layer = 0; layer < 2; ++layer) {
    for (std::int64_t head = 0; head < 3; ++head) {
      for (std::int64_t t = 0; t < 7; ++t) {
        EXPECT_EQ(cache.keys(layer, head)(t, 4), stamp);
        EXPECT_EQ(cache.values(layer, head)(t, 0), stamp + 0.5F);
      }
      stamp += 1;
    }
  }
}

TEST(KvCache, CloneKeepsTheTokensAndParts) {
  KvCache cache = KvCache::make(config(), 4).value();
  cache.keys(1, 2)(1, 3) = 9.0F;
  cache.values(1, 2)(1, 3) = 8.0F;
  cache.set_length(2);
  const KvCache copy = cache.clone();
  cache.keys(1, 2)(1, 3) = 0.0F;
  cache.reset();
  EXPECT_EQ(cache.length(), 0);
  EXPECT_EQ(copy.length(), 2);
  EXPECT_EQ(copy.keys(1, 2)(1, 3), 9.0F);
  EXPECT_EQ(copy.values(1, 2)(1, 3), 8.0F);
}

TEST(KvCache, EmptyOnesAreFine) {
  const KvCache cache = KvCache::make(config(), 0).value();
  EXPECT_EQ(cache.bytes(), 0U);
  EXPECT_EQ(cache.clone().max_tokens(), 0);
  EXPECT_EQ(KvCache().length(), 0);
}

TEST(KvCache, RefusesWhatCannotFit) {
  for (const std::int64_t tokens : {std::int64_t{1} << 40, std::int64_t{1} << 62}) {
    const auto cache = KvCache::make(config(), tokens);
    ASSERT_FALSE(cache.ok());
    EXPECT_EQ(cache.error().fault, Fault::limit_exceeded);
  }
}

}  // namespace
}  // namespace quernel::runtime
