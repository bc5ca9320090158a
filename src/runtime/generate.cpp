#include "runtime/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "runtime/linear.h"
#include "sys/clock.h"

namespace quernel::runtime {
namespace {

// Positions to reserve, after checking that the model has them.
Result<std::int64_t> context_size(const model::ModelConfig& config, std::size_t prompt_size,
                                  const GenerateOptions& options) {
  if (prompt_size == 0) return Error(Fault::invalid_argument, "the prompt has no tokens");
  if (options.max_tokens < 0 || options.prefill_chunk < 1) {
    return Error(Fault::invalid_argument, "generation needs max_tokens >= 0 and prefill_chunk >= 1");
  }
  const std::int64_t prompt = static_cast<std::int64_t>(prompt_size);
  const std::int64_t limit =
      options.context > 0 ? std::min(options.context, config.max_positions) : config.max_positions;
  if (prompt > limit || options.max_tokens > limit - prompt) {
    return Error(Fault::limit_exceeded, "prompt and answer do not fit into the context")
        .expect(fmt::format("at most {} tokens", limit),
                fmt::format("{} of the prompt and up to {} generated", prompt, options.max_tokens))
        .with_hint("shorten the prompt or ask for fewer tokens");
  }
  return prompt + options.max_tokens;
}

class FloatSequence final : public TokenSequence {
 public:
  FloatSequence(const FloatModel& model, KvCache cache, std::int64_t chunk)
      : model_(model), cache_(std::move(cache)), chunk_(chunk), last_(1, model.config().hidden_size) {}
  [[nodiscard]] const model::ModelConfig& config() const override { return model_.config(); }

  Status append(std::span<const std::int32_t> tokens, std::span<float> logits) override {
    const auto size = static_cast<std::int64_t>(tokens.size());
    Matrix hidden = Matrix::uninitialized(std::min(size, chunk_ + kFewRows), last_.cols());
    for (std::int64_t first = 0, rows = 0; first < size; first += rows) {
      // A short rest joins the last chunk, as in the passes of a block.
      rows = size - first <= chunk_ + kFewRows ? size - first : chunk_;
      const SequenceBatch batch{{.first_row = 0, .num_tokens = rows, .position = cache_.length(), .cache = &cache_}};
      const auto part = tokens.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(rows));
      QUERNEL_TRY_STATUS(model_.forward(part, batch, hidden.view().row_block(0, rows)));
      const std::span<const float> last = hidden.row(rows - 1);
      std::copy(last.begin(), last.end(), last_.row(0).begin());
    }
    model_.logits(last_, {logits.data(), 1, static_cast<std::int64_t>(logits.size())});
    return ok_status();
  }

 private:
  const FloatModel& model_;
  KvCache cache_;
  std::int64_t chunk_;
  Matrix last_;
};

}  // namespace

const char* to_string(StopReason reason) {
  switch (reason) {
    case StopReason::stop_token: return "stop_token";
    case StopReason::max_tokens: return "max_tokens";
    case StopReason::callback: return "callback";
  }
  return "";
}

Status check_generation(const model::ModelConfig& config, std::size_t prompt_size, const GenerateOptions& options) {
  const Result<std::int64_t> size = context_size(config, prompt_size, options);
  return size.ok() ? ok_status() : Status(size.error());
}

Result<Generation> continue_sequence(TokenSequence& sequence, std::vector<std::int32_t>& context, std::size_t fresh,
                                     const GenerateOptions& options, const TokenCallback& on_token) {
  QUERNEL_CHECK(fresh > 0 && fresh <= context.size(), "{} new tokens of {}", fresh, context.size());
  QUERNEL_TRY(Sampler sampler, Sampler::make(options.sampler));
  std::vector<float> logits(static_cast<std::size_t>(sequence.config().vocab_size));
  Generation generation;
  const sys::Stopwatch prefill_watch;
  QUERNEL_TRY_STATUS(sequence.append(std::span(context).last(fresh), logits));
  generation.prefill_seconds = prefill_watch.seconds();
  const sys::Stopwatch decode_watch;
  while (static_cast<std::int64_t>(generation.tokens.size()) < options.max_tokens) {
    if (!generation.tokens.empty()) QUERNEL_TRY_STATUS(sequence.append(std::span(context).last(1), logits));
    const std::int32_t token = sampler.sample(logits, context);
    if (std::find(options.stop_ids.begin(), options.stop_ids.end(), token) != options.stop_ids.end()) {
      generation.reason = StopReason::stop_token;
      break;
    }
    context.push_back(token);
    generation.tokens.push_back(token);
    if (on_token && !on_token(token)) {
      generation.reason = StopReason::callback;
      break;
    }
  }
  generation.decode_seconds = decode_watch.seconds();
  return generation;
}

Result<Generation> generate(const FloatModel& model, std::span<const std::int32_t> prompt,
                            const GenerateOptions& options, const TokenCallback& on_token) {
  QUERNEL_TRY(const std::int64_t positions, context_size(model.config(), prompt.size(), options));
  QUERNEL_TRY(KvCache cache, KvCache::make(model.config(), positions));
  FloatSequence sequence(model, std::move(cache), options.prefill_chunk);
  std::vector<std::int32_t> context(prompt.begin(), prompt.end());
  return continue_sequence(sequence, context, context.size(), options, on_token);
}

}  // namespace quernel::runtime
