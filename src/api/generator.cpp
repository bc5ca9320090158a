#include <fmt/format.h>

#include "api/failure.h"
#include "api/loaded_model.h"
#include "base/json.h"
#include "engine/int_model.h"
#include "engine/int_sequence.h"
#include "model/tokenizer_source.h"
#include "quernel/quernel.h"
#include "runtime/generate.h"
#include "sys/clock.h"
#include "sys/memory.h"
#include "text/tokenizer.h"

namespace quernel::api {

struct Generator::State {
  std::unique_ptr<sys::ThreadPool> pool;
  LoadedModel loaded;  // model: null where the integer runtime runs
  std::unique_ptr<engine::IntModel> integers;
  std::unique_ptr<engine::IntSequence> sequence;
  std::unique_ptr<text::Tokenizer> tokenizer;
  double load_seconds = 0.0;
  std::size_t read_tokens = 0;  // of the last prompt: what the cache did not hold

  Result<runtime::Generation> generate(std::vector<std::int32_t> ids, const runtime::GenerateOptions& how,
                                       const runtime::TokenCallback& on_token) {
    read_tokens = ids.size();
    if (integers == nullptr) return runtime::generate(*loaded.model, ids, how, on_token);
    QUERNEL_TRY_STATUS(runtime::check_generation(integers->config(), ids.size(), how));
    QUERNEL_TRY(const std::int64_t kept, sequence->keep_common(ids));
    read_tokens = ids.size() - static_cast<std::size_t>(kept);
    return runtime::continue_sequence(*sequence, ids, read_tokens, how, on_token);
  }
};

Generator::Generator(std::unique_ptr<State> state) : state_(std::move(state)) {}
Generator::~Generator() = default;
Generator::Generator(Generator&&) noexcept = default;

Generator Generator::open(const EngineOptions& options) {
  const sys::Stopwatch watch;
  auto state = std::make_unique<State>();
  state->pool = make_pool(options.threads);
  state->loaded.checkpoint = std::make_unique<model::Checkpoint>(take(model::Checkpoint::open(options.path)));
  state->integers = std::make_unique<engine::IntModel>(
      take(engine::IntModel::load(*state->loaded.checkpoint, *state->pool, to_engine(options))));
  state->sequence = std::make_unique<engine::IntSequence>(*state->integers);
  state->tokenizer = std::make_unique<text::Tokenizer>(take(model::load_tokenizer(*state->loaded.checkpoint)));
  state->load_seconds = watch.seconds();
  return Generator(std::move(state));
}

Generator Generator::open(const ModelOptions& options) {
  const sys::Stopwatch watch;
  auto state = std::make_unique<State>();
  state->pool = make_pool(options.threads);
  state->loaded = take(
      load_model(options.path, *state->pool, take(parse_precision(options.precision)), to_runtime(options.simulated)));
  state->tokenizer = std::make_unique<text::Tokenizer>(take(model::load_tokenizer(*state->loaded.checkpoint)));
  state->load_seconds = watch.seconds();
  return Generator(std::move(state));
}

namespace {

Report describe(const runtime::Generation& generation, std::size_t prompt_tokens, std::size_t read_tokens,
                const std::string& text, double load_seconds) {
  const auto count = static_cast<double>(generation.tokens.size());
  const double decode_rate = generation.decode_seconds > 0 && count > 1 ? (count - 1) / generation.decode_seconds : 0.0;
  const double prefill_rate =
      generation.prefill_seconds > 0 ? static_cast<double>(read_tokens) / generation.prefill_seconds : 0.0;
  const Json json{{"text", text},
                  {"tokens", generation.tokens},
                  {"prompt_tokens", prompt_tokens},
                  {"prompt_tokens_read", read_tokens},
                  {"stop", runtime::to_string(generation.reason)},
                  {"load_seconds", load_seconds},
                  {"prefill_seconds", generation.prefill_seconds},
                  {"prefill_tokens_per_second", prefill_rate},
                  {"decode_tokens_per_second", decode_rate},
                  {"peak_rss", sys::peak_resident_bytes()}};
  return {dump_json(json),
          fmt::format("load {}, prompt {} tokens ({} read at {:.0f}/s), {} tokens at {:.1f}/s, peak memory {}\n",
                      sys::format_duration(load_seconds), prompt_tokens, read_tokens, prefill_rate,
                      generation.tokens.size(), decode_rate, sys::format_bytes(sys::peak_resident_bytes()))};
}

}  // namespace

ChatForm Generator::chat_form() const {
  // What the tokenizer knows is one token; a text that is not in the vocabulary is many.
  if (state_->tokenizer->encode("<|im_start|>", {}).size() == 1)
    return {"<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n", "<|im_end|>\n"};
  return {"User: ", "\nAssistant:", "\n"};
}

Report Generator::complete(std::string_view prompt, const GenerateOptions& options,
                           const std::function<bool(std::string_view piece)>& on_text) {
  const std::vector<std::int32_t> ids = state_->tokenizer->encode(prompt, {.add_special = true});
  runtime::GenerateOptions how;
  how.max_tokens = options.max_tokens;
  how.stop_ids = state_->loaded.checkpoint->config().eos_token_ids;
  how.sampler = {.temperature = options.temperature,
                 .top_k = options.top_k,
                 .top_p = options.top_p,
                 .min_p = options.min_p,
                 .repetition_penalty = options.repetition_penalty,
                 .seed = options.seed};
  text::StreamDecoder decoder(*state_->tokenizer);
  std::string text;
  const auto show = [&](const std::string& piece) {
    text += piece;
    return piece.empty() || !on_text || on_text(piece);
  };
  const runtime::Generation generation =
      take(state_->generate(ids, how, [&](std::int32_t id) { return show(decoder.push(id)); }));
  show(decoder.finish());
  return describe(generation, ids.size(), state_->read_tokens, text, state_->load_seconds);
}

}  // namespace quernel::api
