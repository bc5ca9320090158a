#include "runtime/float_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "runtime/model_fixture.h"
#include "runtime/tiny_model.h"
#include "tensor/linalg.h"

namespace quernel::runtime {
namespace {

using test::random_tokens;
using test::tiny_llama;
using test::TinyModel;

constexpr double kTolerance = 5e-5;  // of logits that deviate by about 1, three or four layers deep

std::string label(const TinyModel& model) { return model.architecture + " " + model.config.dump(); }

class EveryArchitecture : public testing::TestWithParam<TinyModel> {};

TEST_P(EveryArchitecture, MatchesThePlainReference) {
  const TinyModel& tiny = GetParam();
  const LoadedModel loaded(tiny);
  ASSERT_TRUE(loaded.model.has_value());
  const auto tokens = random_tokens(29, tiny.vocab, 5);
  const MatrixF64 wanted = test::reference_logits(tiny, tokens);
  for (const std::int64_t chunk : {0, 11, 4, 1}) {
    EXPECT_LE(largest_difference(loaded.logits(tokens, chunk), wanted), kTolerance)
        << label(tiny) << " chunk " << chunk;
  }
}

TEST_P(EveryArchitecture, ChunksAgree) {
  const TinyModel& tiny = GetParam();
  const LoadedModel loaded(tiny);
  ASSERT_TRUE(loaded.model.has_value());
  const auto tokens = random_tokens(130, tiny.vocab, 6);
  const Matrix whole = loaded.logits(tokens);
  EXPECT_TRUE(same_bits(loaded.logits(tokens, 130), whole)) << "a cache alone changes nothing";
  for (const std::int64_t chunk : {65, 13, 1}) {
    EXPECT_LE(largest_difference(loaded.logits(tokens, chunk), whole), kTolerance) << chunk;
  }
}

TEST_P(EveryArchitecture, ThreadsDoNotChangeABit) {
  const TinyModel& tiny = GetParam();
  const auto tokens = random_tokens(70, tiny.vocab, 7);
  const LoadedModel one(tiny, 1);
  ASSERT_TRUE(one.model.has_value());
  const Matrix logits = one.logits(tokens);
  const Matrix decoded = one.logits(tokens, 3);
  for (const int threads : {2, 4}) {
    const LoadedModel more(tiny, threads);
    EXPECT_TRUE(same_bits(more.logits(tokens), logits)) << threads;
    EXPECT_TRUE(same_bits(more.logits(tokens, 3), decoded)) << threads;
  }
}

INSTANTIATE_TEST_SUITE_P(FloatModel, EveryArchitecture, testing::ValuesIn(test::tiny_models()),
                         [](const auto& row) { return std::to_string(row.index) + "_" + row.param.model_type; });

// How OpenBLAS sums a row may depend on its neighbours (runtime/linear.h); the bf16 products never do.
bool rows_are_independent(Precision precision) {
  return effective(precision) == Precision::bf16 || blas_description().find("SkylakeX") != std::string::npos;
}

// As SmolLM2, but shallow: wide enough that no product is tiny.
TinyModel wide_llama() {
  TinyModel tiny = tiny_llama();
  tiny.hidden = 128;
  tiny.intermediate = 160;
  tiny.head_dim = tiny.rotary_dim = 64;
  tiny.layers.resize(2);
  tiny.draw(3);
  return tiny;
}

class Independence : public testing::TestWithParam<Precision> {
 protected:
  Independence() : tiny_(wide_llama()), loaded_(tiny_, 2, GetParam()), exact_(rows_are_independent(GetParam())) {}
  void expect_equal(ConstMatrixView found, ConstMatrixView wanted, const std::string& what) const {
    if (exact_) {
      EXPECT_TRUE(same_bits(found, wanted)) << what;
    } else {
      EXPECT_LE(largest_difference(found, wanted), kTolerance) << what;
    }
  }
  TinyModel tiny_;
  LoadedModel loaded_;
  bool exact_;
};

TEST_P(Independence, SequencesOfABatchDoNotTouchEachOther) {
  std::vector<std::int32_t> all;
  SequenceBatch batch;
  std::vector<Matrix> alone;
  for (const std::int64_t size : {32, 40, 50, 300, 260, 33}) {
    const auto tokens = random_tokens(size, tiny_.vocab, static_cast<std::uint64_t>(size));
    batch.push_back({.first_row = static_cast<std::int64_t>(all.size()), .num_tokens = size});
    all.insert(all.end(), tokens.begin(), tokens.end());
    alone.push_back(loaded_.hidden(tokens));
  }
  Matrix together(static_cast<std::int64_t>(all.size()), tiny_.hidden);
  ASSERT_TRUE(loaded_.model->forward(all, batch, together).ok());
  for (std::size_t i = 0; i < batch.size(); ++i) {
    expect_equal(together.view().row_block(batch[i].first_row, batch[i].num_tokens), alone[i], std::to_string(i));
  }
}

TEST_P(Independence, ChunksOfManyRows) {
  const auto tokens = random_tokens(520, tiny_.vocab, 6);
  const Matrix whole = loaded_.hidden(tokens);
  for (const std::int64_t chunk : {520, 260, 104, 40}) {
    expect_equal(loaded_.hidden(tokens, chunk), whole, "chunk " + std::to_string(chunk));
  }
}

// A pass of 512 rows ends within every one of these lengths; a rest of few rows must not take another path.
TEST_P(Independence, LengthDoesNotChangeEarlierRows) {
  const auto tokens = random_tokens(1100, tiny_.vocab, 1);
  const Matrix longest = loaded_.hidden(tokens);
  for (const std::int64_t size : {511, 513, 520, 545, 1025}) {
    const Matrix shorter = loaded_.hidden({tokens.begin(), tokens.begin() + size});
    expect_equal(shorter, longest.view().row_block(0, size), "length " + std::to_string(size));
  }
}

INSTANTIATE_TEST_SUITE_P(FloatModel, Independence, testing::Values(Precision::f32, Precision::bf16),
                         [](const auto& row) { return std::string(to_string(row.param)); });

TEST(FloatModel, DecodesSeveralSequencesAtOnce) {
  TinyModel tiny = tiny_llama();
  tiny.draw(5);
  const LoadedModel loaded(tiny);
  std::vector<KvCache> caches;
  std::vector<MatrixF64> wanted;
  std::vector<std::int32_t> last;
  SequenceBatch batch;
  for (const std::int64_t size : {3, 31, 64, 5}) {
    auto tokens = random_tokens(size, tiny.vocab, static_cast<std::uint64_t>(size));
    wanted.push_back(test::reference_logits(tiny, tokens));
    last.push_back(tokens.back());
    tokens.pop_back();
    caches.push_back(loaded.model->make_cache(size));
    Matrix ignored(size - 1, tiny.hidden);
    ASSERT_TRUE(loaded.model->forward(tokens, {{.num_tokens = size - 1, .cache = &caches.back()}}, ignored).ok());
  }
  for (std::size_t i = 0; i < caches.size(); ++i) {
    batch.push_back({static_cast<std::int64_t>(i), 1, caches[i].length(), &caches[i]});
  }
  Matrix hidden(4, tiny.hidden);
  Matrix logits(4, tiny.vocab);
  ASSERT_TRUE(loaded.model->forward(last, batch, hidden).ok());
  loaded.model->logits(hidden, logits);
  for (std::size_t i = 0; i < caches.size(); ++i) {
    for (std::int64_t c = 0; c < tiny.vocab; ++c) {
      EXPECT_NEAR(static_cast<double>(logits(static_cast<std::int64_t>(i), c)), wanted[i](wanted[i].rows() - 1, c),
                  kTolerance);
    }
  }
}

TEST(FloatModel, AClonedCacheContinuesTwice) {
  TinyModel tiny = tiny_llama();
  tiny.draw(6);
  const LoadedModel loaded(tiny);
  const auto tokens = random_tokens(40, tiny.vocab, 2);
  const std::span<const std::int32_t> all(tokens);
  Matrix prefix(20, tiny.hidden);
  KvCache cache = loaded.model->make_cache(40);
  ASSERT_TRUE(loaded.model->forward(all.first(20), {{.num_tokens = 20, .cache = &cache}}, prefix).ok());
  KvCache copy = cache.clone();
  Matrix a(20, tiny.hidden);
  Matrix b(20, tiny.hidden);
  Matrix noise(10, tiny.hidden);
  const auto other = random_tokens(10, tiny.vocab, 3);
  ASSERT_TRUE(loaded.model->forward(other, {{.num_tokens = 10, .position = 20, .cache = &cache}}, noise).ok());
  ASSERT_TRUE(loaded.model->forward(all.last(20), {{.num_tokens = 20, .position = 20, .cache = &cache}}, a).ok());
  ASSERT_TRUE(loaded.model->forward(all.last(20), {{.num_tokens = 20, .position = 20, .cache = &copy}}, b).ok());
  EXPECT_EQ(cache.length(), 40);
  EXPECT_TRUE(same_bits(a, b)) << "going back in a cache forgets what stood there";
}

TEST(FloatModel, Bf16WeightsAreUsedInPlace) {
  for (TinyModel tiny : test::tiny_models()) {
    tiny.dtype = DType::bf16;
    tiny.draw(11);
    const LoadedModel loaded(tiny);
    ASSERT_TRUE(loaded.model.has_value());
    EXPECT_NE(loaded.model->layer(0).linear(model::Linear::q).bf16.data, nullptr);
    EXPECT_EQ(loaded.model->layer(0).linear(model::Linear::q).owned, nullptr);
    const auto tokens = random_tokens(21, tiny.vocab, 8);
    const MatrixF64 wanted = test::reference_logits(tiny, tokens);
    EXPECT_LE(largest_difference(loaded.logits(tokens), wanted), kTolerance) << label(tiny);
    EXPECT_LE(largest_difference(loaded.logits(tokens, 1), wanted), kTolerance) << label(tiny);
  }
}

TEST(FloatModel, Bf16PrecisionStaysNear) {
  TinyModel tiny = tiny_llama();
  tiny.draw(12);
  const auto tokens = random_tokens(40, tiny.vocab, 9);
  const MatrixF64 wanted = test::reference_logits(tiny, tokens);
  const LoadedModel loaded(tiny, 2, Precision::bf16);
  EXPECT_EQ(loaded.model->precision(), effective(Precision::bf16));
  double squares = 0.0;
  const Matrix logits = loaded.logits(tokens);
  for (std::int64_t r = 0; r < logits.rows(); ++r) {
    for (std::int64_t c = 0; c < logits.cols(); ++c) {
      squares += std::pow(static_cast<double>(logits(r, c)) - wanted(r, c), 2);
    }
  }
  // 2^-9 a rounding, some 20 products deep in quadrature.
  EXPECT_LE(std::sqrt(squares / static_cast<double>(logits.size())), 0.02);
}

TEST(FloatModel, EmptyBatchesAndSequences) {
  TinyModel tiny = tiny_llama();
  tiny.draw(7);
  const LoadedModel loaded(tiny);
  Matrix none(0, tiny.hidden);
  EXPECT_TRUE(loaded.model->forward({}, {}, none).ok());
  const auto tokens = random_tokens(12, tiny.vocab, 4);
  Matrix hidden(12, tiny.hidden);
  const SequenceBatch batch{{0, 0, 0, nullptr}, {0, 12, 0, nullptr}, {12, 0, 0, nullptr}};
  ASSERT_TRUE(loaded.model->forward(tokens, batch, hidden).ok());
  EXPECT_TRUE(same_bits(hidden, loaded.hidden(tokens)));
}

TEST(FloatModel, RefusesTokensOutsideTheVocabulary) {
  TinyModel tiny = tiny_llama();
  tiny.draw(8);
  const LoadedModel loaded(tiny);
  Matrix hidden(2, tiny.hidden);
  for (const std::int32_t bad : {-1, 61, 2147483647}) {
    const Status status = loaded.model->forward(std::vector<std::int32_t>{3, bad}, {{.num_tokens = 2}}, hidden);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().fault, Fault::invalid_argument);
    EXPECT_EQ(status.error().expected, "0..60");
  }
}

TEST(FloatModel, RefusesPositionsThatTheCacheCannotHold) {
  TinyModel tiny = tiny_llama();
  tiny.draw(9);
  const LoadedModel loaded(tiny);
  const std::vector<std::int32_t> tokens{1, 2, 3};
  Matrix hidden(3, tiny.hidden);
  KvCache cache = loaded.model->make_cache(4);
  const auto run = [&](std::int64_t position, KvCache* where) {
    return loaded.model->forward(tokens, {{.num_tokens = 3, .position = position, .cache = where}}, hidden);
  };
  for (const Status& status : {run(1, &cache), run(-1, &cache), run(1, nullptr), run(-1, nullptr)}) {
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().fault, Fault::invalid_argument);
  }
  EXPECT_EQ(cache.length(), 0) << "a refused pass leaves the cache alone";
  ASSERT_TRUE(run(0, &cache).ok());
  const Status full = run(3, &cache);
  ASSERT_FALSE(full.ok());
  EXPECT_EQ(full.error().expected, "at most 4 tokens");
  EXPECT_TRUE(run(1, &cache).ok()) << "going back one token makes room";
  EXPECT_FALSE(run(std::int64_t{1} << 62, &cache).ok());
}

}  // namespace
}  // namespace quernel::runtime
