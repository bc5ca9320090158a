#include "serve/prefix_shelf.h"

#include <gtest/gtest.h>

#include <numeric>

namespace quernel::serve {
namespace {

using Tokens = std::vector<std::int32_t>;

engine::PagePool pool_of(int kv_bits, std::int64_t window = 0) {
  model::ModelConfig config;
  config.num_layers = config.num_kv_heads = 1;
  config.head_dim = 16;
  config.max_positions = 2000;
  if (window > 0) config.layers = {{.sliding_window = window}};
  return engine::PagePool::make(config, kv_bits, 1 << 22).value();
}

engine::PagedCache cache_of(engine::PagePool& pool, const Tokens& tokens) {
  engine::PagedCache cache(pool);
  EXPECT_TRUE(cache.reserve(static_cast<std::int64_t>(tokens.size())).ok());
  cache.commit(static_cast<std::int64_t>(tokens.size()));
  return cache;
}

Tokens counting(std::int32_t first, std::size_t count) {
  Tokens tokens(count);
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

TEST(PrefixShelf, SharedTokensLeaveOneToCompute) {
  const Tokens held = counting(0, 80);
  engine::PagePool eight = pool_of(8);
  const engine::PagedCache cache = cache_of(eight, held);
  EXPECT_EQ(shared_tokens(cache, held, held), 79);
  EXPECT_EQ(shared_tokens(cache, held, counting(0, 100)), 80);
  EXPECT_EQ(shared_tokens(cache, held, counting(1, 100)), 0);
  EXPECT_EQ(shared_tokens(cache, held, {}), 0);
  // Whole pages only of rounded ones, unless nothing is cut.
  engine::PagePool four = pool_of(4);
  const engine::PagedCache rounded = cache_of(four, held);
  EXPECT_EQ(shared_tokens(rounded, held, held), 64);
  EXPECT_EQ(shared_tokens(rounded, held, counting(0, 100)), 80);
  EXPECT_EQ(shared_tokens(rounded, held, counting(0, 40)), 32);
}

TEST(PrefixShelf, ServesNothingThatWindowsForgot) {
  engine::PagePool pool = pool_of(8, 50);
  PrefixShelf shelf(2);
  shelf.put(counting(0, 1000), cache_of(pool, counting(0, 1000)));
  EXPECT_EQ(shelf.find(counting(0, 1100), 0).shared, 1000);
  EXPECT_EQ(shelf.find(counting(0, 800), 0).shared, 799);
  EXPECT_EQ(shelf.find(counting(0, 600), 0).cache, nullptr);
}

TEST(PrefixShelf, GivesUpTheLeastRecentlyUsed) {
  engine::PagePool pool = pool_of(8);
  PrefixShelf shelf(2);
  const Tokens a = counting(0, 20);
  const Tokens b = counting(100, 20);
  const Tokens c = counting(200, 20);
  shelf.put(a, cache_of(pool, a));
  shelf.put(b, cache_of(pool, b));
  EXPECT_EQ(shelf.find(a, 0).shared, 19);  // used
  shelf.put(c, cache_of(pool, c));
  EXPECT_EQ(shelf.size(), 2);
  EXPECT_EQ(shelf.find(b, 0).cache, nullptr);
  EXPECT_EQ(shelf.find(a, 0).shared, 19);
  EXPECT_EQ(shelf.find(a, 19).cache, nullptr) << "no better than what the caller has";
  EXPECT_TRUE(shelf.give_up_oldest());
  EXPECT_EQ(shelf.find(c, 0).cache, nullptr);
  EXPECT_TRUE(shelf.give_up_oldest());
  EXPECT_FALSE(shelf.give_up_oldest());
}

TEST(PrefixShelf, ALongerOneTakesTheShortersPlace) {
  engine::PagePool pool = pool_of(8);
  const std::uint64_t free = [&] {
    const engine::PagedCache warm = cache_of(pool, counting(0, 1));
    return pool.free_bytes() + pool.page_bytes(8);
  }();
  PrefixShelf shelf(4);
  shelf.put(counting(0, 20), cache_of(pool, counting(0, 20)));
  shelf.put(counting(0, 33), cache_of(pool, counting(0, 33)));
  EXPECT_EQ(shelf.size(), 1);
  EXPECT_EQ(shelf.find(counting(0, 50), 0).shared, 33);
  EXPECT_EQ(pool.free_bytes(), free - 2 * pool.page_bytes(8));
  EXPECT_TRUE(shelf.give_up_oldest());
  EXPECT_EQ(pool.free_bytes(), free);
  PrefixShelf none(0);
  none.put(counting(0, 20), cache_of(pool, counting(0, 20)));
  EXPECT_EQ(none.size(), 0);
}

}  // namespace
}  // namespace quernel::serve
