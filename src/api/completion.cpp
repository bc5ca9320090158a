#include "api/completion.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "runtime/generate.h"
#include "serve/text_stop.h"
#include "sys/clock.h"

namespace quernel::api {
namespace {

// Where DRY's stretches end: usual ends of lines, of speakers' names, of quotations and of emphasis.
std::vector<std::int32_t> stretch_breakers(const text::Tokenizer& tokenizer) {
  std::vector<std::int32_t> ids;
  for (const char* text : {"\n", ":", "\"", "*"})
    if (const auto tokens = tokenizer.encode(text); !tokens.empty()) ids.push_back(tokens.back());
  return ids;
}

runtime::SamplerOptions to_sampler(const GenerateOptions& options, const text::Tokenizer& tokenizer) {
  runtime::SamplerOptions sampler;
  sampler.temperature = options.temperature;
  sampler.top_k = options.top_k;
  sampler.top_p = options.top_p;
  sampler.min_p = options.min_p;
  sampler.repetition_penalty = options.repetition_penalty;
  sampler.presence_penalty = options.presence_penalty;
  sampler.frequency_penalty = options.frequency_penalty;
  sampler.dry.multiplier = options.dry_multiplier;
  sampler.dry.base = options.dry_base;
  sampler.dry.allowed_length = options.dry_allowed_length;
  if (options.dry_multiplier > 0) sampler.dry.breakers = stretch_breakers(tokenizer);
  for (const auto& [id, value] : options.logit_bias) sampler.logit_bias.push_back({id, value});
  sampler.seed = options.seed;
  return sampler;
}

// What a caller who ended the text is told, in both runtimes.
std::string name_of(serve::EndReason reason) {
  if (reason == serve::EndReason::cancelled) return runtime::to_string(runtime::StopReason::callback);
  return serve::to_string(reason);
}

}  // namespace

Result<Completion> complete_text(serve::Scheduler& scheduler, const text::Tokenizer& tokenizer,
                                 std::vector<std::int32_t> prompt, const std::vector<std::int64_t>& stop_ids,
                                 const GenerateOptions& options, const TextCallback& on_text) {
  QUERNEL_TRY_STATUS(scheduler.set_lookup({.max_draft = options.speculate}));
  Completion out;
  std::optional<Error> error;
  const sys::Stopwatch watch;
  serve::Request request;
  request.prompt = std::move(prompt);
  request.max_tokens = options.max_tokens;
  request.stop_ids = stop_ids;
  request.stop_texts = options.stop;
  request.sampler = to_sampler(options, tokenizer);
  request.drop_oldest = options.context_shift;
  request.keep_tokens = options.keep_tokens;
  request.on_event = [&](const serve::Event& event) {
    if (out.prefill_seconds == 0.0) out.prefill_seconds = watch.seconds();
    if (event.token) out.tokens.push_back(*event.token);
    out.text += event.text;
    if (event.end) {
      error = event.error;
      out.stop = name_of(*event.end);
      out.read_tokens = static_cast<std::size_t>(event.usage.prompt_tokens - event.usage.shared_tokens);
      out.drafted = event.usage.drafted;
      out.accepted = event.usage.accepted;
      out.dropped = event.usage.dropped_tokens;
    }
    return event.text.empty() || !on_text || on_text(event.text);
  };
  QUERNEL_TRY_STATUS(scheduler.submit(std::move(request)));
  scheduler.run_until_idle();
  if (error) return *error;
  out.decode_seconds = watch.seconds() - out.prefill_seconds;
  return out;
}

Result<Completion> complete_text(const runtime::FloatModel& model, const text::Tokenizer& tokenizer,
                                 const std::vector<std::int32_t>& prompt, const std::vector<std::int64_t>& stop_ids,
                                 const GenerateOptions& options, const TextCallback& on_text) {
  if (options.speculate != 0)
    return Error(Fault::invalid_argument, "speculation needs the integer runtime").in_field("--speculate");
  if (options.context_shift)
    return Error(Fault::invalid_argument, "dropping the oldest tokens needs the integer runtime")
        .in_field("--context-shift");
  for (const std::string& stop : options.stop)
    if (stop.empty()) return Error(Fault::invalid_argument, "a stop text is empty").in_field("stop");
  Completion out;
  text::StreamDecoder decoder(tokenizer);
  serve::TextStop stop(options.stop);
  const auto show = [&](const std::string& piece) {
    out.text += piece;
    return piece.empty() || !on_text || on_text(piece);
  };
  runtime::GenerateOptions how;
  how.max_tokens = options.max_tokens;
  how.stop_ids = stop_ids;
  how.sampler = to_sampler(options, tokenizer);
  QUERNEL_TRY(runtime::Generation made, runtime::generate(model, prompt, how, [&](std::int32_t id) {
                return show(stop.push(decoder.push(id))) && !stop.stopped();
              }));
  show(stop.push(decoder.finish()) + stop.finish());
  out.stop = stop.stopped() ? serve::to_string(serve::EndReason::stop_text) : runtime::to_string(made.reason);
  out.tokens = std::move(made.tokens);
  out.read_tokens = prompt.size();
  out.prefill_seconds = made.prefill_seconds;
  out.decode_seconds = made.decode_seconds;
  return out;
}

}  // namespace quernel::api
