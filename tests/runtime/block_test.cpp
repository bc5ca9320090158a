#include "runtime/block.h"

#include <gtest/gtest.h>

#include <vector>

#include "runtime/model_fixture.h"

namespace quernel::runtime {
namespace {

using test::TinyModel;

struct Fixture {
  explicit Fixture(const TinyModel& tiny) : loaded(tiny), rope(RopeTable::make(loaded.checkpoint->config())) {}
  LoadedModel loaded;
  std::shared_ptr<const RopeTable> rope;
  [[nodiscard]] BlockContext context(Workspace* workspace) {
    return {&loaded.checkpoint->config(), rope.get(), Precision::f32, &loaded.pool, workspace};
  }
};

// What the calibrator does: stage by stage over all rows at once.
void run_stages(const BlockContext& context, const LayerWeights& weights, const SequenceBatch& batch,
                MatrixView hidden) {
  const model::ModelConfig& config = *context.config;
  Matrix input(hidden.rows, config.hidden_size);
  Matrix mixed(hidden.rows, config.q_size());
  attention_input(context, weights, hidden, input);
  attention_mix(context, weights, input, batch, mixed);
  attention_finish(context, weights, mixed, hidden);
  Matrix inner(hidden.rows, config.intermediate_size);
  mlp_input(context, weights, hidden, input);
  mlp_inner(context, weights, input, inner);
  mlp_finish(context, weights, inner, hidden);
}

TEST(Block, StagesMakeUpTheBlockBitForBit) {
  for (const TinyModel& tiny : test::tiny_models()) {
    Fixture setup(tiny);
    const std::int64_t rows = 640;  // more than one pass
    const auto tokens = test::random_tokens(rows, tiny.vocab, 1);
    const SequenceBatch batch{{.first_row = 0, .num_tokens = 600}, {.first_row = 600, .num_tokens = 40}};
    Matrix staged(rows, tiny.hidden);
    const EndWeights ends = load_ends(*setup.loaded.checkpoint).value();
    ASSERT_TRUE(embed_tokens(setup.loaded.checkpoint->config(), ends, tokens, staged).ok());
    Matrix whole = staged.clone();
    Workspace workspace;
    for (std::int64_t layer = 0; layer < tiny.num_layers(); ++layer) {
      const LayerWeights weights = load_layer(*setup.loaded.checkpoint, layer).value();
      run_stages(setup.context(nullptr), weights, batch, staged);
      forward_block(setup.context(&workspace), weights, batch, whole);
    }
    EXPECT_TRUE(same_bits(staged, whole)) << tiny.model_type;
    Matrix by_model(rows, tiny.hidden);
    ASSERT_TRUE(setup.loaded.model->forward(tokens, batch, by_model).ok());
    EXPECT_TRUE(same_bits(by_model, whole)) << tiny.model_type;
  }
}

TEST(Block, SitesHoldWhatTheLinearsRead) {
  TinyModel tiny = test::tiny_llama();
  tiny.layers.resize(1);
  tiny.draw(2);
  Fixture setup(tiny);
  const LayerWeights weights = load_layer(*setup.loaded.checkpoint, 0).value();
  Matrix hidden(1, tiny.hidden);
  for (std::int64_t i = 0; i < tiny.hidden; ++i) hidden(0, i) = static_cast<float>(i % 5) - 2.0F;
  Matrix input(1, tiny.hidden);
  attention_input(setup.context(nullptr), weights, hidden, input);
  double squares = 0.0;
  for (std::int64_t i = 0; i < tiny.hidden; ++i) squares += static_cast<double>(hidden(0, i)) * hidden(0, i);
  const double rms = std::sqrt(squares / static_cast<double>(tiny.hidden) + tiny.eps);
  const std::vector<float>& gain = tiny.tensors.at("model.layers.0.input_layernorm.weight").values;
  for (std::int64_t i = 0; i < tiny.hidden; ++i) {
    EXPECT_NEAR(input(0, i), hidden(0, i) / rms * gain[static_cast<std::size_t>(i)], 1e-6);
  }
  // A first token attends to itself alone: every query head hands out the value of its key/value head.
  Matrix mixed(1, tiny.heads * tiny.head_dim);
  attention_mix(setup.context(nullptr), weights, input, {{.num_tokens = 1}}, mixed);
  const test::TinyModel::Tensor& v = tiny.tensors.at("model.layers.0.self_attn.v_proj.weight");
  for (std::int64_t col = 0; col < mixed.cols(); ++col) {
    const std::int64_t row = col / tiny.head_dim / (tiny.heads / tiny.kv_heads) * tiny.head_dim + col % tiny.head_dim;
    double sum = 0.0;
    for (std::int64_t i = 0; i < tiny.hidden; ++i) {
      sum += static_cast<double>(v.values[static_cast<std::size_t>(row * tiny.hidden + i)]) * input(0, i);
    }
    EXPECT_NEAR(mixed(0, col), sum, 1e-5);
  }
}

TEST(BlockDeathTest, SequencesMustFollowEachOther) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // a forked child would wait for pool threads it does not have
  TinyModel tiny = test::tiny_llama();
  tiny.draw(3);
  Fixture setup(tiny);
  const LayerWeights weights = load_layer(*setup.loaded.checkpoint, 0).value();
  Matrix hidden(20, tiny.hidden);
  const SequenceBatch gap{{.first_row = 0, .num_tokens = 9}, {.first_row = 10, .num_tokens = 10}};
  EXPECT_DEATH(forward_block(setup.context(nullptr), weights, gap, hidden), "follow each other");
}

}  // namespace
}  // namespace quernel::runtime
