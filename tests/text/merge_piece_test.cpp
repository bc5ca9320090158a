#include "text/merge_piece.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "base/rng.h"
#include "text/piece_cache.h"

namespace quernel::text {
namespace {

// The definition, as slowly as it reads.
std::vector<std::int32_t> merge_slowly(const MergeTable& table, std::vector<std::int32_t> ids) {
  while (true) {
    std::size_t best = ids.size();
    Merge chosen;
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
      const Merge merge = table.find(ids[i], ids[i + 1]);
      if (merge.rank < chosen.rank) {
        chosen = merge;
        best = i;
      }
    }
    if (best == ids.size()) return ids;
    ids[best] = chosen.result;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

// Words over three letters, up to four letters long, merged in random order; with `ties`, by scores that are often
// equal.
class RandomTable {
 public:
  RandomTable(CounterRng& rng, bool by_score) {
    for (const char* letter : {"a", "b", "c"}) tokens_.emplace_back(letter);
    std::vector<std::pair<std::string, std::string>> merges;
    for (int i = 0; i < 40; ++i) {
      const std::string& left = tokens_[rng.below(tokens_.size())];
      const std::string& right = tokens_[rng.below(tokens_.size())];
      const std::string joined = left + right;
      if (joined.size() > 4) continue;
      merges.emplace_back(left, right);
      if (std::find(tokens_.begin(), tokens_.end(), joined) == tokens_.end()) tokens_.push_back(joined);
    }
    TokenIndex index(tokens_, tokens_.size());
    for (std::size_t id = 0; id < tokens_.size(); ++id) index.insert(static_cast<std::int32_t>(id));
    std::vector<float> scores;
    for (std::size_t id = 0; id < tokens_.size(); ++id) scores.push_back(static_cast<float>(rng.below(5)));
    std::vector<std::string> inner;
    auto made =
        by_score ? MergeTable::from_scores(tokens_, scores, index, inner) : MergeTable::from_merges(merges, index);
    EXPECT_TRUE(made.ok());
    table = std::make_unique<MergeTable>(std::move(made).value());
  }
  std::unique_ptr<MergeTable> table;

 private:
  std::vector<std::string> tokens_;
};

TEST(MergeScratch, FollowsTheDefinitionAtEveryLength) {
  CounterRng rng(5, "merges");
  MergeScratch scratch;
  for (int round = 0; round < 60; ++round) {
    const RandomTable made(rng, round % 2 == 1);
    for (const std::size_t size : {0U, 1U, 2U, 3U, 10U, 63U, 64U, 65U, 66U, 200U, 500U}) {
      std::vector<std::int32_t> ids(size + 1, 2);  // the first one is not part of the piece
      for (std::size_t i = 1; i < ids.size(); ++i) ids[i] = static_cast<std::int32_t>(rng.below(3));
      std::vector<std::int32_t> expected = merge_slowly(*made.table, {ids.begin() + 1, ids.end()});
      expected.insert(expected.begin(), 2);
      scratch.merge(*made.table, ids, 1);
      ASSERT_EQ(ids, expected) << "round " << round << ", " << size << " symbols";
    }
  }
}

TEST(MergeTable, CharactersInsideTokensGetIdsOfTheirOwn) {
  const std::vector<std::string> tokens = {"ab", "\u00E9x", "x"};
  TokenIndex index(tokens, tokens.size());
  for (std::int32_t id = 0; id < 3; ++id) index.insert(id);
  std::vector<std::string> inner;
  const auto table = MergeTable::from_scores(tokens, {1, 2, 3}, index, inner);
  ASSERT_TRUE(table.ok());
  EXPECT_EQ(inner, (std::vector<std::string>{"a", "b", "\u00E9"}));
  EXPECT_EQ(table->find(3, 4).result, 0);
  EXPECT_EQ(table->find(5, 2).result, 1);
  EXPECT_LT(table->find(5, 2).rank, table->find(3, 4).rank) << "the better score is earlier";
  EXPECT_EQ(table->find(4, 3).rank, kNoMerge);
}

TEST(MergeTable, RefusesScoresThatAreNotNumbers) {
  const std::vector<std::string> tokens = {"a"};
  TokenIndex index(tokens, 1);
  std::vector<std::string> inner;
  const auto table = MergeTable::from_scores(tokens, {std::numeric_limits<float>::quiet_NaN()}, index, inner);
  ASSERT_FALSE(table.ok());
  EXPECT_EQ(table.error().field, "scores[0]");
}

TEST(PieceCache, NeverGivesAnotherPiecesIds) {
  PieceCache cache;
  CounterRng rng(9, "cache");
  int hits = 0;
  for (int i = 0; i < 600'000; ++i) {
    const std::string piece = std::to_string(rng.below(200'000));
    // Few different hashes: pieces collide all the time, and the table overflows many times.
    const std::uint64_t hash = i % 3 == 0 ? hash_bytes(piece) % 7 : hash_bytes(piece);
    const auto found = cache.find(piece, hash);
    if (!found.empty()) {
      ++hits;
      ASSERT_EQ(std::to_string(found[0]), piece);
    } else {
      const std::int32_t id = std::stoi(piece);
      cache.insert(piece, hash, {&id, 1});
    }
  }
  EXPECT_GT(hits, 10'000);
}

TEST(PieceCache, PassesOverLongPieces) {
  PieceCache cache;
  const std::string piece(PieceCache::kMaxPieceBytes + 1, 'x');
  const std::int32_t id = 1;
  cache.insert(piece, 1, {&id, 1});
  EXPECT_TRUE(cache.find(piece, 1).empty());
}

}  // namespace
}  // namespace quernel::text
