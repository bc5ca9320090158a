#include "pipeline/block_errors.h"

#include <gtest/gtest.h>

#include <string>

#include "runtime/model_fixture.h"
#include "runtime/tiny_model.h"
#include "support/temp_folder.h"

namespace quernel::pipeline {
namespace {

using Windows = std::vector<std::vector<std::int32_t>>;

test::TinyModel drawn_llama() {
  test::TinyModel tiny = test::tiny_llama();
  tiny.draw(5);
  return tiny;
}

Windows windows_of(const test::TinyModel& tiny) {
  Windows windows;
  for (std::uint64_t i = 0; i < 3; ++i) windows.push_back(test::random_tokens(24, tiny.vocab, 7 + i));
  return windows;
}

// Keeps what a tiny model was written to alive.
struct Opened {
  explicit Opened(const test::TinyModel& tiny) {
    tiny.write(folder.path());
    checkpoint.emplace(model::Checkpoint::open(folder.path()).value());
  }
  test::TempFolder folder;
  std::optional<model::Checkpoint> checkpoint;
};

BlockErrors measure(const Opened& source, const std::vector<const Opened*>& candidates, const Windows& windows,
                    int threads = 2, runtime::SimulatedBits simulated = {}) {
  std::vector<const model::Checkpoint*> opened;
  for (const Opened* candidate : candidates) opened.push_back(&*candidate->checkpoint);
  sys::ThreadPool pool(threads);
  return measure_block_errors({.source = *source.checkpoint,
                               .candidates = opened,
                               .windows = windows,
                               .simulated = simulated,
                               .pool = pool,
                               .progress = sys::null_progress()})
      .value();
}

void scale(test::TinyModel& tiny, const std::string& tensor, float factor) {
  for (float& value : tiny.tensors.at(tensor).values) value *= factor;
}

TEST(BlockErrors, OnlyABlockThatDiffersHasAnError) {
  const test::TinyModel tiny = drawn_llama();
  test::TinyModel damaged = tiny;
  scale(damaged, "model.layers.1.mlp.down_proj.weight", 1.1F);
  const Opened source(tiny);
  const Opened other(damaged);
  const BlockErrors errors = measure(source, {&source, &other}, windows_of(tiny));
  ASSERT_EQ(errors.size(), 3U);
  for (std::size_t layer = 0; layer < 3; ++layer) {
    EXPECT_EQ(errors[layer][0], 0.0);
    // The block behind the damaged one is fed with the source's stream: it is as good as it was.
    EXPECT_EQ(errors[layer][1] > 0.0, layer == 1) << layer;
  }
  EXPECT_GT(errors[1][1], 1e-5);
}

TEST(BlockErrors, FactorsInsideABlockAreNoError) {
  const test::TinyModel tiny = drawn_llama();
  test::TinyModel scaled = tiny;
  scale(scaled, "model.layers.0.post_attention_layernorm.weight", 4.0F);
  for (const char* module : {"gate_proj", "up_proj"})
    scale(scaled, std::string("model.layers.0.mlp.") + module + ".weight", 0.25F);
  const Opened source(tiny);
  const Opened other(scaled);
  EXPECT_LT(measure(source, {&other}, windows_of(tiny))[0][0], 1e-12);
}

TEST(BlockErrors, IsTheMeanOverTokensOfTheSquaredRatio) {
  test::TinyModel tiny = drawn_llama();
  tiny.layers.resize(1);
  tiny.draw(6);
  test::TinyModel changed = tiny;
  scale(changed, "model.layers.0.self_attn.o_proj.weight", 0.7F);
  const Windows windows = windows_of(tiny);
  double expected = 0.0;
  for (const auto& window : windows) {
    MatrixF64 reference;
    MatrixF64 found;
    test::reference_logits(tiny, window, &reference);
    test::reference_logits(changed, window, &found);
    for (std::int64_t row = 0; row < reference.rows(); ++row) {
      double gap = 0.0;
      double norm = 0.0;
      for (std::int64_t col = 0; col < reference.cols(); ++col) {
        gap += (found(row, col) - reference(row, col)) * (found(row, col) - reference(row, col));
        norm += reference(row, col) * reference(row, col);
      }
      expected += gap / norm / static_cast<double>(3 * reference.rows());
    }
  }
  const Opened source(tiny);
  const Opened other(changed);
  const double error = measure(source, {&other}, windows)[0][0];
  EXPECT_NEAR(error, expected, 1e-4 * expected);
  EXPECT_GT(error, 1e-4);
}

TEST(BlockErrors, AnyNumberOfThreadsGivesTheSameBytes) {
  const test::TinyModel tiny = drawn_llama();
  test::TinyModel other = tiny;
  other.draw(11);
  other.tensors.at("model.embed_tokens.weight") = tiny.tensors.at("model.embed_tokens.weight");
  const Opened source(tiny);
  const Opened drawn(other);
  EXPECT_EQ(measure(source, {&drawn}, windows_of(tiny), 1), measure(source, {&drawn}, windows_of(tiny), 3));
}

TEST(BlockErrors, CandidatesAreRoundedAsTheyWillRunAndTheSourceIsNot) {
  const test::TinyModel tiny = drawn_llama();
  const Opened source(tiny);
  runtime::SimulatedBits simulated;
  simulated.activation_bits = 8;
  const BlockErrors errors = measure(source, {&source}, windows_of(tiny), 2, simulated);
  for (const auto& layer : errors) EXPECT_GT(layer[0], 1e-9);
}

}  // namespace
}  // namespace quernel::pipeline
