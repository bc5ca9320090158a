#include "eval/window_runner.h"

#include <gtest/gtest.h>

#include "eval/eval_fixture.h"

namespace quernel::eval {
namespace {

TEST(WindowRunner, ChunksCoverTheScoredRowsOnce) {
  const WindowPlan plan = plan_windows(Convention::gptq, 10000, 2048, 0, std::nullopt).value();
  const std::vector<ScoredChunk> chunks = scored_chunks(plan, 49152, 1, 3);
  std::int64_t next = plan.scored_per_window;
  for (const ScoredChunk& chunk : chunks) {
    EXPECT_EQ(chunk.first_row, next);
    EXPECT_EQ(chunk.window, next / plan.scored_per_window);
    EXPECT_EQ(chunk.first_position, next % plan.scored_per_window);
    EXPECT_GE(chunk.num_rows, 1);
    EXPECT_LE(chunk.num_rows, rows_per_chunk(49152));
    next += chunk.num_rows;
  }
  EXPECT_EQ(next, 4 * plan.scored_per_window);
}

TEST(WindowRunner, SizesFollowTheVocabulary) {
  EXPECT_EQ(rows_per_chunk(49152), 512);
  EXPECT_EQ(rows_per_chunk(128256), 196);
  EXPECT_EQ(rows_per_chunk(61), 512);
  EXPECT_EQ(rows_per_chunk(1 << 26), 1);
  WindowPlan plan;
  plan.context = 512;
  plan.count = 100;
  EXPECT_EQ(windows_per_batch(plan), 8);
  plan.count = 3;
  EXPECT_EQ(windows_per_batch(plan), 3);
  plan.context = 100000;
  EXPECT_EQ(windows_per_batch(plan), 1);
}

TEST(WindowRunner, LogitsAreThoseOfThePosition) {
  const runtime::LoadedModel loaded(eval_model(3));
  const std::vector<std::int32_t> tokens = test::random_tokens(60, 61, 4);
  const WindowPlan plan = plan_windows(Convention::llama_cpp, 60, 20, 0, 5).value();
  auto runner = WindowRunner::create(*loaded.model, tokens, plan);
  ASSERT_TRUE(runner.ok());
  ASSERT_TRUE(runner->run(0, 3).ok());
  for (const ScoredChunk& chunk : scored_chunks(plan, 61, 0, 3)) {
    const Matrix expected = loaded.logits(window_tokens(plan, tokens, chunk.window));
    const MatrixView found = runner->logits(chunk);
    for (std::int64_t row = 0; row < chunk.num_rows; ++row) {
      EXPECT_EQ(target_token(plan, tokens, chunk, row),
                tokens[static_cast<std::size_t>(20 * chunk.window + chunk.first_position + row + 1)]);
      for (std::int64_t c = 0; c < 61; ++c) {
        ASSERT_NEAR(found(row, c), expected(chunk.first_position + row, c), 2e-5) << row << ", " << c;
      }
    }
  }
}

TEST(WindowRunner, RefusesAContextBeyondTheModel) {
  const runtime::LoadedModel loaded(eval_model(3));  // 256 positions
  const std::vector<std::int32_t> tokens = test::random_tokens(600, 61, 4);
  const WindowPlan plan = plan_windows(Convention::gptq, 600, 257, 0, std::nullopt).value();
  const auto runner = WindowRunner::create(*loaded.model, tokens, plan);
  ASSERT_FALSE(runner.ok());
  EXPECT_EQ(runner.error().fault, Fault::invalid_argument);
}

}  // namespace
}  // namespace quernel::eval
