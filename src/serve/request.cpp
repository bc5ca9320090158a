#include "serve/request.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/checked.h"
#include "runtime/float_model.h"
#include "runtime/rope.h"
#include "text/utf8.h"

namespace quernel::serve {
namespace {

Status check_stop_texts(const std::vector<std::string>& texts, bool has_tokenizer) {
  if (!texts.empty() && !has_tokenizer)
    return Error(Fault::invalid_argument, "stop texts need a tokenizer").in_field("stop");
  for (const std::string& text : texts) {
    if (text.empty()) return Error(Fault::invalid_argument, "a stop text is empty").in_field("stop");
    if (text::repair_utf8(text) != text)
      return Error(Fault::invalid_argument, "a stop text is not UTF-8").in_field("stop");
  }
  return ok_status();
}

Status check_bias_ids(const std::vector<runtime::LogitBias>& biases, std::int64_t vocab) {
  for (const runtime::LogitBias& bias : biases)
    if (bias.id >= vocab)
      return Error(Fault::invalid_argument, "a bias for a token outside the vocabulary")
          .in_field("logit_bias")
          .expect(fmt::format("ids below {}", vocab), fmt::format("{}", bias.id));
  return ok_status();
}

Status check_dropping(const Request& request, const model::ModelConfig& config, const engine::PagePool& pages) {
  for (const model::LayerConfig& layer : config.layers)
    if (layer.sliding_window)
      return Error(Fault::unsupported, "a model with sliding windows forgets by itself; its pages are not dropped")
          .in_field("drop_oldest");
  const auto prompt = static_cast<std::int64_t>(request.prompt.size());
  const std::int64_t limit = cache_limit(config, pages);
  // One page to drop and one to go on in.
  const std::int64_t most_kept = limit - 2 * engine::kPageTokens;
  if (request.keep_tokens < 0 || ceil_div(request.keep_tokens, engine::kPageTokens) * engine::kPageTokens > most_kept)
    return Error(Fault::limit_exceeded, "the tokens to keep leave no room for others")
        .in_field("keep_tokens")
        .expect(fmt::format("0 to {}", std::max<std::int64_t>(0, most_kept)), fmt::format("{}", request.keep_tokens));
  const std::int64_t most = runtime::RopeTable::kMaxPositions;
  if (prompt <= limit && request.max_tokens < most - prompt) return ok_status();
  return Error(Fault::limit_exceeded, "the prompt does not fit")
      .expect(fmt::format("at most {} tokens, {} with the answer", limit, most - 1),
              fmt::format("{} and up to {} generated", prompt, request.max_tokens));
}

Status check_size(const Request& request, std::int64_t limit, const char* what, const char* hint) {
  const auto prompt = static_cast<std::int64_t>(request.prompt.size());
  if (prompt <= limit && request.max_tokens <= limit - prompt) return ok_status();
  return Error(Fault::limit_exceeded, fmt::format("prompt and answer do not fit into {}", what))
      .expect(fmt::format("at most {} tokens", limit),
              fmt::format("{} of the prompt and up to {} generated", prompt, request.max_tokens))
      .with_hint(hint);
}

}  // namespace

const char* to_string(EndReason reason) {
  switch (reason) {
    case EndReason::stop_token: return "stop_token";
    case EndReason::stop_text: return "stop_text";
    case EndReason::length: return "max_tokens";
    case EndReason::cancelled: return "cancelled";
    case EndReason::failed: return "failed";
  }
  return "";
}

std::int64_t cache_limit(const model::ModelConfig& config, const engine::PagePool& pages) {
  return std::min(config.max_positions, pages.most_tokens());
}

Status check_request(const Request& request, const model::ModelConfig& config, const engine::PagePool& pages,
                     bool has_tokenizer) {
  if (request.prompt.empty()) return Error(Fault::invalid_argument, "the prompt has no tokens");
  if (request.max_tokens < 0)
    return Error(Fault::invalid_argument, "fewer than no tokens are asked for")
        .in_field("max_tokens")
        .expect("0 or more", fmt::format("{}", request.max_tokens));
  QUERNEL_TRY_STATUS(runtime::check_tokens(config, request.prompt));
  QUERNEL_TRY_STATUS(check_stop_texts(request.stop_texts, has_tokenizer));
  QUERNEL_TRY_STATUS(check_bias_ids(request.sampler.logit_bias, config.vocab_size));
  if (request.drop_oldest) return check_dropping(request, config, pages);
  QUERNEL_TRY_STATUS(
      check_size(request, config.max_positions, "the context", "shorten the prompt or ask for fewer tokens"));
  // The last token's keys and values are never needed, but its page may be.
  return check_size(request, pages.most_tokens(), "the cache of keys and values",
                    "a larger --kv-budget, fewer --kv-bits, a shorter prompt or fewer tokens");
}

}  // namespace quernel::serve
