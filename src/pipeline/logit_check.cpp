#include "pipeline/logit_check.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "calib/corpus.h"
#include "model/tokenizer_source.h"
#include "runtime/block.h"
#include "runtime/float_model.h"

namespace quernel::pipeline {

namespace {

constexpr std::size_t kTokens = 128;      // enough for every path of a block; the head's logits stay small
constexpr std::size_t kTextBytes = 4096;  // more than 128 tokens of any vocabulary

Result<std::vector<std::int32_t>> check_tokens(const model::Checkpoint& checkpoint) {
  QUERNEL_TRY(const text::Tokenizer tokenizer, model::load_tokenizer(checkpoint));
  QUERNEL_TRY(const calib::BuiltinCorpus corpus, calib::find_builtin(calib::kDefaultCorpus));
  std::vector<std::int32_t> tokens = tokenizer.encode(corpus.text.substr(0, kTextBytes), {.add_special = true});
  tokens.resize(std::min(tokens.size(), kTokens));
  return tokens;
}

Result<Matrix> logits_of(const model::Checkpoint& checkpoint, const LayerChange& change,
                         const std::vector<std::int32_t>& tokens, sys::ThreadPool& pool) {
  const model::ModelConfig& config = checkpoint.config();
  const auto rows = static_cast<std::int64_t>(tokens.size());
  const auto rope = runtime::RopeTable::make(config);
  const runtime::BlockContext context{
      .config = &config, .rope = rope.get(), .precision = runtime::Precision::f32, .pool = &pool, .workspace = nullptr};
  QUERNEL_TRY(const runtime::EndWeights ends, runtime::load_ends(checkpoint));
  Matrix hidden(rows, config.hidden_size);
  QUERNEL_TRY_STATUS(runtime::embed_tokens(config, ends, tokens, hidden));
  const runtime::SequenceBatch batch{{.first_row = 0, .num_tokens = rows}};
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer) {
    QUERNEL_TRY(runtime::LayerWeights weights, runtime::load_layer(checkpoint, layer));
    if (change) QUERNEL_TRY_STATUS(change(weights));
    runtime::forward_block(context, weights, batch, hidden);
  }
  Matrix logits(rows, config.vocab_size);
  runtime::compute_logits(config, ends, runtime::Precision::f32, hidden, logits, pool);
  return logits;
}

}  // namespace

Result<LogitDifference> compare_logits(const model::Checkpoint& reference, const LayerChange& change_reference,
                                       const model::Checkpoint& other, sys::ThreadPool& pool) {
  QUERNEL_TRY(const std::vector<std::int32_t> tokens, check_tokens(reference));
  QUERNEL_TRY(const Matrix expected, logits_of(reference, change_reference, tokens, pool));
  QUERNEL_TRY(const Matrix found, logits_of(other, {}, tokens, pool));
  if (expected.cols() != found.cols())
    return Error(Fault::verification_failed, "the models have different vocabularies")
        .expect(std::to_string(expected.cols()), std::to_string(found.cols()));
  LogitDifference difference;
  double squares = 0;
  for (std::int64_t i = 0; i < expected.size(); ++i) {
    const double gap = std::abs(double{expected.data()[i]} - double{found.data()[i]});
    // A NaN on one side only must not pass as "no larger than".
    difference.max_abs = gap <= difference.max_abs ? difference.max_abs : gap;
    squares += double{expected.data()[i]} * double{expected.data()[i]};
  }
  difference.reference_rms = std::sqrt(squares / static_cast<double>(std::max<std::int64_t>(expected.size(), 1)));
  return difference;
}

}  // namespace quernel::pipeline
