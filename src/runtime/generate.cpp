#include "runtime/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

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

// Runs the prompt; last_hidden [1, hidden] receives the state of its last token.
Status prefill(const FloatModel& model, std::span<const std::int32_t> prompt, std::int64_t chunk_size, KvCache& cache,
               MatrixView last_hidden) {
  const std::int64_t size = static_cast<std::int64_t>(prompt.size());
  Matrix hidden = Matrix::uninitialized(std::min(size, chunk_size + kFewRows), last_hidden.cols);
  for (std::int64_t first = 0, rows = 0; first < size; first += rows) {
    // A short rest joins the last chunk, as in the passes of a block.
    rows = size - first <= chunk_size + kFewRows ? size - first : chunk_size;
    const SequenceBatch batch{{.first_row = 0, .num_tokens = rows, .position = first, .cache = &cache}};
    const auto tokens = prompt.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(rows));
    QUERNEL_TRY_STATUS(model.forward(tokens, batch, hidden.view().row_block(0, rows)));
    const std::span<const float> last = hidden.row(rows - 1);
    std::copy(last.begin(), last.end(), last_hidden.row(0).begin());
  }
  return ok_status();
}

}  // namespace

const char* to_string(StopReason reason) {
  switch (reason) {
    case StopReason::stop_token: return "stop_token";
    case StopReason::max_tokens: return "max_tokens";
    case StopReason::callback: return "callback";
  }
  return "";
}

Result<Generation> generate(const FloatModel& model, std::span<const std::int32_t> prompt,
                            const GenerateOptions& options, const TokenCallback& on_token) {
  QUERNEL_TRY(const std::int64_t positions, context_size(model.config(), prompt.size(), options));
  QUERNEL_TRY(Sampler sampler, Sampler::make(options.sampler));
  QUERNEL_TRY(KvCache cache, KvCache::make(model.config(), positions));
  Matrix hidden = Matrix::uninitialized(1, model.config().hidden_size);
  Matrix logits = Matrix::uninitialized(1, model.config().vocab_size);
  Generation generation;
  const sys::Stopwatch prefill_watch;
  QUERNEL_TRY_STATUS(prefill(model, prompt, options.prefill_chunk, cache, hidden));
  generation.prefill_seconds = prefill_watch.seconds();

  std::vector<std::int32_t> context(prompt.begin(), prompt.end());
  const sys::Stopwatch decode_watch;
  while (static_cast<std::int64_t>(generation.tokens.size()) < options.max_tokens) {
    if (!generation.tokens.empty()) {
      const SequenceBatch batch{{.first_row = 0, .num_tokens = 1, .position = cache.length(), .cache = &cache}};
      QUERNEL_TRY_STATUS(model.forward(std::span(&context.back(), 1), batch, hidden));
    }
    model.logits(hidden, logits);
    const std::int32_t token = sampler.sample(logits.row(0), context);
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

}  // namespace quernel::runtime
