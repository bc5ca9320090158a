#include "engine/paged_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/packed/packed.h"
#include "support/documented_limits.h"

namespace quernel::engine {
namespace {

model::ModelConfig config() {
  model::ModelConfig c;
  c.num_layers = 2;
  c.num_kv_heads = 3;
  c.head_dim = 16;
  return c;
}

// The same with layers of these windows; 0: none.
model::ModelConfig windows(const std::vector<std::int64_t>& of_layers) {
  model::ModelConfig c = config();
  c.num_layers = static_cast<std::int64_t>(of_layers.size());
  c.max_positions = 5000;
  c.layers.resize(of_layers.size());
  for (std::size_t i = 0; i < of_layers.size(); ++i)
    if (of_layers[i] > 0) c.layers[i].sliding_window = of_layers[i];
  return c;
}

PagePool pool_of(int bits, std::uint64_t budget = 1 << 24) {
  return std::move(PagePool::make(config(), bits, budget)).value();
}

TEST(PagedCache, LimitsAreThoseOfTheDocument) {
  test::Limits documented = test::documented_limits("Integer runtime");
  EXPECT_EQ(documented["kMaxInputs"], static_cast<std::uint64_t>(kernels::packed::kMaxInputs));
  EXPECT_EQ(documented["kMaxHeadDim"], static_cast<std::uint64_t>(kernels::kv_attention::kMaxHeadDim));
  model::ModelConfig wide = config();
  wide.head_dim = kernels::kv_attention::kMaxHeadDim + 8;
  EXPECT_EQ(PagePool::make(wide, 8, 1 << 20).error().fault, Fault::unsupported);
  wide.head_dim = 12;
  EXPECT_EQ(PagePool::make(wide, 8, 1 << 20).error().fault, Fault::unsupported);
}

TEST(PagedCache, PagesOfABlockDoNotOverlap) {
  PagePool pool = pool_of(8);
  PagePool::Block* a = pool.take(0, 8);
  PagePool::Block* b = pool.take(0, 8);
  const kernels::kv_attention::PageLayout at = kernels::kv_attention::page_layout(16, 8);
  std::uint8_t mark = 0;
  for (PagePool::Block* block : {a, b})
    for (std::int64_t layer = 0; layer < 2; ++layer)
      for (std::int64_t head = 0; head < 3; ++head) {
        const auto page = pool.page(block, layer, head);
        std::memset(page.keys, ++mark, static_cast<std::size_t>(at.key_bytes));
        std::memset(page.values, ++mark, static_cast<std::size_t>(at.value_bytes));
      }
  mark = 0;
  for (PagePool::Block* block : {a, b})
    for (std::int64_t layer = 0; layer < 2; ++layer)
      for (std::int64_t head = 0; head < 3; ++head) {
        const auto page = pool.page(block, layer, head);
        ++mark;
        for (std::int64_t i = 0; i < at.key_bytes; ++i) ASSERT_EQ(page.keys[i], mark);
        ++mark;
        for (std::int64_t i = 0; i < at.value_bytes; ++i) ASSERT_EQ(page.values[i], mark);
      }
}

TEST(PagedCache, TheBudgetHoldsAndBlocksComeBack) {
  PagePool probe = pool_of(8);
  const std::uint64_t block = probe.page_bytes(8);
  PagePool pool = pool_of(8, 3 * block);
  {
    PagedCache cache(pool);
    ASSERT_TRUE(cache.reserve(3 * kPageTokens).ok());
    cache.commit(3 * kPageTokens);
    EXPECT_LE(pool.used_bytes(), 3 * block);
    const Status full = cache.reserve(1);
    ASSERT_FALSE(full.ok());
    EXPECT_EQ(full.error().fault, Fault::limit_exceeded);
    EXPECT_EQ(cache.length(), 3 * kPageTokens);
    ASSERT_TRUE(cache.cut(kPageTokens).ok());
    EXPECT_TRUE(cache.reserve(2 * kPageTokens).ok());
  }
  PagedCache again(pool);
  EXPECT_TRUE(again.reserve(3 * kPageTokens).ok());
}

// A pass that found no room and a shorter one instead: a page that is not full is not rounded.
TEST(PagedCache, AFailedReservationChangesNothing) {
  const PagePool probe = pool_of(4);
  PagePool pool = pool_of(4, 4 * probe.page_bytes(8) + 2 * probe.page_bytes(4));
  PagedCache cache(pool);
  ASSERT_TRUE(cache.reserve(40).ok());
  cache.commit(40);
  const std::uint64_t free = pool.free_bytes();
  ASSERT_FALSE(cache.reserve(200).ok());
  EXPECT_FALSE(cache.closes(1));
  EXPECT_EQ(pool.free_bytes(), free);
  ASSERT_TRUE(cache.reserve(10).ok());
  EXPECT_FALSE(cache.closes(1));
  cache.commit(10);
  EXPECT_NE(cache.open_page(1, 0, 0).keys, nullptr);
}

TEST(PagedCache, IdleSlabsServeBlocksOfOtherBits) {
  const PagePool probe = pool_of(4);
  PagePool pool = pool_of(4, 40 * probe.page_bytes(8));
  {
    std::vector<PagedCache> many;
    for (int i = 0; i < 40; ++i) many.emplace_back(pool);
    for (PagedCache& cache : many) ASSERT_TRUE(cache.reserve(1).ok());
    PagedCache one_more(pool);
    EXPECT_FALSE(one_more.reserve(1).ok());
  }
  EXPECT_EQ(pool.free_bytes(), pool.budget_bytes());
  // All slabs hold open blocks, nobody's: a long sequence needs closed ones.
  PagedCache cache(pool);
  while (cache.length() + kPageTokens <= pool.most_tokens()) {
    ASSERT_TRUE(cache.reserve(kPageTokens).ok()) << cache.length();
    cache.commit(kPageTokens);
  }
  EXPECT_GT(cache.length(), 10 * kPageTokens);
  EXPECT_LE(pool.used_bytes(), pool.budget_bytes());
}

TEST(PagedCache, TheLongestSequenceFits) {
  for (const int bits : {16, 8, 4})
    for (const int blocks : {0, 1, 2, 3, 16, 20, 33, 50}) {
      const PagePool probe = pool_of(bits);
      PagePool pool = pool_of(bits, static_cast<std::uint64_t>(blocks) * probe.page_bytes(probe.open_bits()));
      PagedCache cache(pool);
      const std::int64_t most = pool.most_tokens();
      EXPECT_GE(most, std::min(blocks, 2) * kPageTokens - 1);
      while (cache.length() < most) {
        const std::int64_t step = std::min<std::int64_t>(most - cache.length(), 7);
        ASSERT_TRUE(cache.reserve(step).ok()) << bits << " bits, " << blocks << " blocks, at " << cache.length();
        cache.commit(step);
      }
      if (bits != 4) {
        EXPECT_FALSE(cache.reserve(1).ok());
      }
    }
}

// Groups of layers take slabs of their own: what is promised holds whatever was in the pool before, and for passes of any size.
TEST(PagedCache, TheLongestSequenceFitsBesideWindows) {
  for (const std::vector<std::int64_t>& of_layers :
       {std::vector<std::int64_t>{100, 0, 100}, {100, 70, 33}, {0, 4999, 0, 1}})
    for (const int bits : {16, 8, 4})
      for (const std::uint64_t pages : {0, 10, 40, 64, 90, 300}) {
        const model::ModelConfig c = windows(of_layers);
        const PagePool probe = std::move(PagePool::make(c, bits, 0)).value();
        PagePool pool = std::move(PagePool::make(c, bits, pages * probe.page_bytes(probe.open_bits()))).value();
        const std::int64_t most = pool.most_tokens();
        if (pages == 300) {
          EXPECT_GE(most, 4999);
        }
        if (pages == 64) {
          EXPECT_GE(most, bits == 4 ? 500 : 1000);
        }
        for (const std::int64_t step : {7, 512, 33}) {
          {
            std::vector<PagedCache> others;
            for (int i = 0; i < 19; ++i)
              if (others.emplace_back(pool).reserve(40).ok()) others.back().commit(40);
          }
          PagedCache cache(pool);
          while (cache.length() < most) {
            const std::int64_t tokens = std::min<std::int64_t>(most - cache.length(), step);
            ASSERT_TRUE(cache.reserve(tokens).ok()) << bits << " bits, " << pages << " pages, at " << cache.length();
            cache.commit(tokens);
            ASSERT_LE(pool.used_bytes(), pool.budget_bytes());
          }
        }
        EXPECT_EQ(pool.free_bytes(), pool.budget_bytes());
      }
}

TEST(PagedCache, PagesBehindTheWindowAreGivenUp) {
  constexpr std::int64_t kWindow = 50;
  for (const int bits : {16, 8, 4}) {
    PagePool pool = std::move(PagePool::make(windows({kWindow, 0, kWindow}), bits, 1 << 24)).value();
    ASSERT_EQ(pool.groups().size(), 2U);
    PagedCache cache(pool);
    std::uint64_t most_used = 0;
    for (std::int64_t length = 0; length < 3000; length += 13) {
      ASSERT_TRUE(cache.reserve(13).ok());
      cache.commit(13);
      most_used = std::max(most_used, pool.budget_bytes() - pool.free_bytes());
      for (std::int64_t page = 0; page <= (cache.length() - 1) / kPageTokens; ++page)
        for (const std::int64_t layer : {0, 1, 2}) {
          const bool is_held =
              cache.open_page(page, layer, 1).keys != nullptr || cache.closed_page(page, layer, 1).keys != nullptr;
          const std::int64_t behind = cache.length() + 1 - kWindow - (page + 1) * kPageTokens;
          EXPECT_EQ(is_held, layer == 1 || behind < kBehindWindow) << "page " << page << " of " << cache.length();
        }
    }
    // The middle layer holds all pages, those beside it eleven.
    const std::uint64_t layer = pool.page_bytes(bits) / 3;
    const std::uint64_t open = pool.page_bytes(pool.open_bits()) / 3;
    EXPECT_LT(most_used, (94 + 2 * 11) * layer + 9 * open);
    PagedCache twin = cache.fork();
    EXPECT_TRUE(twin.reaches(cache.length() - kBehindWindow));
    EXPECT_FALSE(twin.reaches(cache.length() - kBehindWindow - 2 * kPageTokens));
    EXPECT_FALSE(twin.reaches(0));
    ASSERT_TRUE(twin.cut(cache.length() - 100).ok());
    EXPECT_TRUE(twin.reserve(500).ok());
  }
}

TEST(PagedCache, AWindowThatSeesAllIsNone) {
  const PagePool pool = std::move(PagePool::make(windows({5000, 0}), 8, 1 << 24)).value();
  ASSERT_EQ(pool.groups().size(), 1U);
  EXPECT_EQ(pool.groups()[0].window, 0);
}

TEST(PagedCache, FourBitsKeepTheFirstAndTheLastPageOpen) {
  PagePool pool = pool_of(4);
  PagedCache cache(pool);
  ASSERT_TRUE(cache.reserve(80).ok());  // two full pages and a half
  EXPECT_FALSE(cache.closes(0));
  EXPECT_TRUE(cache.closes(1));
  EXPECT_FALSE(cache.closes(2));
  cache.commit(80);
  EXPECT_NE(cache.open_page(0, 0, 0).keys, nullptr);
  EXPECT_EQ(cache.closed_page(0, 0, 0).keys, nullptr);
  EXPECT_EQ(cache.open_page(1, 0, 0).keys, nullptr);
  EXPECT_NE(cache.closed_page(1, 0, 0).keys, nullptr);
  EXPECT_NE(cache.open_page(2, 0, 0).keys, nullptr);
  // Cut into the rounded page: it can be written again.
  ASSERT_TRUE(cache.cut(40).ok());
  EXPECT_NE(cache.open_page(1, 1, 2).keys, nullptr);
  EXPECT_TRUE(cache.reserve(10).ok());
}

TEST(PagedCache, DroppedPagesComeBackToThePool) {
  for (const int bits : {8, 4}) {
    PagePool pool = pool_of(bits);
    PagedCache cache(pool);
    ASSERT_TRUE(cache.reserve(100).ok());
    cache.commit(100);
    const PagedCache twin = cache.fork();
    const auto* last = cache.open_page(3, 0, 0).keys;
    const std::uint64_t free = pool.free_bytes();
    cache.drop(1, 2);
    EXPECT_EQ(cache.length(), 36);
    EXPECT_EQ(cache.dropped(), 64);
    EXPECT_EQ(cache.open_page(1, 0, 0).keys, last);
    EXPECT_EQ(pool.free_bytes(), free) << "the twin still holds them";
    EXPECT_EQ(twin.length(), 100);
    PagedCache other(pool);
    other = twin.fork();
    other.drop(0, 1);
    EXPECT_EQ(other.dropped(), 32);
  }
  PagePool pool = pool_of(8);
  PagedCache alone(pool);
  ASSERT_TRUE(alone.reserve(100).ok());
  alone.commit(100);
  const std::uint64_t free = pool.free_bytes();
  alone.drop(0, 3);
  EXPECT_EQ(pool.free_bytes(), free + 3 * pool.page_bytes(8));
  EXPECT_EQ(alone.length(), 4);
}

TEST(PagedCache, WritingIntoASharedBlockCopiesIt) {
  PagePool pool = pool_of(8);
  PagedCache cache(pool);
  ASSERT_TRUE(cache.reserve(40).ok());
  cache.commit(40);
  PagedCache twin = cache.fork();
  EXPECT_EQ(twin.open_page(1, 0, 0).keys, cache.open_page(1, 0, 0).keys);
  cache.open_page(1, 0, 0).keys[0] = 7;
  ASSERT_TRUE(twin.reserve(1).ok());
  EXPECT_EQ(twin.open_page(0, 0, 0).keys, cache.open_page(0, 0, 0).keys);  // whole pages stay shared
  ASSERT_NE(twin.open_page(1, 0, 0).keys, cache.open_page(1, 0, 0).keys);
  EXPECT_EQ(twin.open_page(1, 0, 0).keys[0], 7);
}

}  // namespace
}  // namespace quernel::engine
