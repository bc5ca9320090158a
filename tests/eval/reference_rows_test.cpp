#include "eval/reference_rows.h"

#include <gtest/gtest.h>

#include "eval/eval_fixture.h"
#include "eval/logit_cache.h"

namespace quernel::eval {
namespace {

TEST(ReferenceRows, CacheGivesWhatWasRecorded) {
  const test::TinyModel tiny = eval_model(31);
  const runtime::LoadedModel loaded(tiny);
  sys::ThreadPool pool(2);
  const test::TempFolder folder;
  const std::vector<std::int32_t> tokens = test::random_tokens(64, tiny.vocab, 2);
  const WindowPlan plan = plan_windows(Convention::llama_cpp, 64, 16, 0, std::nullopt).value();
  const std::string path = cache_path(folder.path(), cache_key("tiny", plan, tokens));
  auto exact = make_exact_rows(*loaded.model, tokens, plan, pool).value();
  auto recording = make_recording_rows(*loaded.model, tokens, plan, path, "key", pool).value();
  std::vector<float> recorded;
  std::vector<std::int32_t> top;
  ASSERT_TRUE(exact->run(0, 4).ok());
  ASSERT_TRUE(recording->run(0, 4).ok());
  for (const ScoredChunk& chunk : scored_chunks(plan, tiny.vocab, 0, 4)) {
    const MatrixView plain = exact->rows(chunk).value();
    const MatrixView rows = recording->rows(chunk).value();
    for (std::int64_t i = 0; i < rows.rows * rows.cols; ++i) {
      ASSERT_NEAR(rows.data[i], plain.data[i], recording->largest_step());
      recorded.push_back(rows.data[i]);
    }
    ASSERT_TRUE(std::equal(exact->top_tokens().begin(), exact->top_tokens().end(), recording->top_tokens().begin()));
    top.insert(top.end(), recording->top_tokens().begin(), recording->top_tokens().end());
  }
  EXPECT_EQ(exact->largest_step(), 0.0);
  ASSERT_TRUE(recording->finish().ok());

  auto cached = make_cached_rows(plan, path, "key", pool).value();
  EXPECT_EQ(cached->vocab_size(), tiny.vocab);
  ASSERT_TRUE(cached->run(0, 4).ok());
  std::size_t next = 0;
  std::size_t next_top = 0;
  for (const ScoredChunk& chunk : scored_chunks(plan, tiny.vocab, 0, 4)) {
    const MatrixView rows = cached->rows(chunk).value();
    for (std::int64_t i = 0; i < rows.rows * rows.cols; ++i) ASSERT_EQ(rows.data[i], recorded[next++]);
    for (const std::int32_t token : cached->top_tokens()) ASSERT_EQ(token, top[next_top++]);
  }
  EXPECT_EQ(cached->largest_step(), recording->largest_step());
}

TEST(ReferenceRows, KeysTellJobsApart) {
  const std::vector<std::int32_t> tokens = test::random_tokens(64, 61, 2);
  const WindowPlan plan = plan_windows(Convention::llama_cpp, 64, 16, 0, std::nullopt).value();
  const WindowPlan fewer = plan_windows(Convention::llama_cpp, 64, 16, 3, std::nullopt).value();
  const WindowPlan longer = plan_windows(Convention::llama_cpp, 64, 32, 0, std::nullopt).value();
  const WindowPlan with_bos = plan_windows(Convention::llama_cpp, 64, 16, 0, 60).value();
  const std::string key = cache_key("a", plan, tokens);
  EXPECT_EQ(cache_key("a", plan, tokens), key);
  EXPECT_NE(cache_key("b", plan, tokens), key);
  EXPECT_NE(cache_key("a", fewer, tokens), key);
  EXPECT_NE(cache_key("a", longer, tokens), key);
  EXPECT_NE(cache_key("a", with_bos, tokens), key);
}

}  // namespace
}  // namespace quernel::eval
