#include <fmt/format.h>

#include "api/completion.h"
#include "api/failure.h"
#include "api/loaded_model.h"
#include "base/json.h"
#include "engine/int_model.h"
#include "model/tokenizer_source.h"
#include "quernel/quernel.h"
#include "serve/scheduler.h"
#include "sys/clock.h"
#include "sys/memory.h"
#include "text/tokenizer.h"

namespace quernel::api {

struct Generator::State {
  std::unique_ptr<sys::ThreadPool> pool;
  LoadedModel loaded;  // model: null where the integer runtime runs
  std::unique_ptr<text::Tokenizer> tokenizer;
  std::unique_ptr<engine::IntModel> integers;
  std::unique_ptr<serve::Scheduler> scheduler;  // one request at a time; its shelf keeps what was said before
  double load_seconds = 0.0;
};

Generator::Generator(std::unique_ptr<State> state) : state_(std::move(state)) {}
Generator::~Generator() = default;
Generator::Generator(Generator&&) noexcept = default;

Generator Generator::open(const EngineOptions& options, const Observer& observer) {
  const sys::Stopwatch watch;
  auto state = std::make_unique<State>();
  state->pool = make_pool(options.threads);
  state->loaded.checkpoint = std::make_unique<model::Checkpoint>(take(model::Checkpoint::open(options.path)));
  state->integers = std::make_unique<engine::IntModel>(
      take(engine::IntModel::load(*state->loaded.checkpoint, *state->pool, to_engine(options))));
  report_load(*state->integers, observer);
  state->tokenizer = std::make_unique<text::Tokenizer>(take(model::load_tokenizer(*state->loaded.checkpoint)));
  state->scheduler =
      take(serve::Scheduler::make(*state->integers, *state->pool, state->tokenizer.get(), {.max_sequences = 1}));
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

Report describe(const Completion& made, std::size_t prompt_tokens, double load_seconds) {
  const auto count = static_cast<double>(made.tokens.size());
  const double decode_rate = made.decode_seconds > 0 && count > 1 ? (count - 1) / made.decode_seconds : 0.0;
  const double prefill_rate =
      made.prefill_seconds > 0 ? static_cast<double>(made.read_tokens) / made.prefill_seconds : 0.0;
  const Json json{{"text", made.text},
                  {"tokens", made.tokens},
                  {"prompt_tokens", prompt_tokens},
                  {"prompt_tokens_read", made.read_tokens},
                  {"stop", made.stop},
                  {"load_seconds", load_seconds},
                  {"prefill_seconds", made.prefill_seconds},
                  {"prefill_tokens_per_second", prefill_rate},
                  {"decode_tokens_per_second", decode_rate},
                  {"draft_tokens", made.drafted},
                  {"draft_tokens_accepted", made.accepted},
                  {"dropped_tokens", made.dropped},
                  {"peak_rss", sys::peak_resident_bytes()}};
  std::string more;
  if (made.drafted > 0) more += fmt::format(" ({} of {} guessed ones right)", made.accepted, made.drafted);
  if (made.dropped > 0) more += fmt::format(", the oldest {} dropped", made.dropped);
  return {dump_json(json),
          fmt::format("load {}, prompt {} tokens ({} read at {:.0f}/s), {} tokens at {:.1f}/s{}, peak memory {}\n",
                      sys::format_duration(load_seconds), prompt_tokens, made.read_tokens, prefill_rate,
                      made.tokens.size(), decode_rate, more, sys::format_bytes(sys::peak_resident_bytes()))};
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
  const State& state = *state_;
  const std::vector<std::int32_t> ids = state.tokenizer->encode(prompt, {.add_special = true});
  const std::vector<std::int64_t>& stop_ids = state.loaded.checkpoint->config().eos_token_ids;
  const Completion made =
      take(state.scheduler != nullptr
               ? complete_text(*state.scheduler, *state.tokenizer, ids, stop_ids, options, on_text)
               : complete_text(*state.loaded.model, *state.tokenizer, ids, stop_ids, options, on_text));
  return describe(made, ids.size(), state.load_seconds);
}

}  // namespace quernel::api
