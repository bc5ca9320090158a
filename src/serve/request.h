// What is asked of the scheduler, and what it tells while it answers.
//
// Errors   check_request: invalid_argument (an empty prompt, ids outside the vocabulary, options out of range, an empty stop text, or one that is
//          not UTF-8); limit_exceeded where prompt and answer pass the model's context, or what the whole cache can hold, and dropping the
//          oldest was not asked for; unsupported: dropping it in a model with sliding windows
// Threads  plain values; events come in the thread that steps the scheduler
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/paged_cache.h"
#include "model/config.h"
#include "runtime/sampler.h"

namespace quernel::serve {

using RequestId = std::uint64_t;  // in order of arrival, from 1

enum class EndReason { stop_token, stop_text, length, cancelled, failed };
const char* to_string(EndReason reason);

// Of one request; speculation counts draft tokens.
struct Usage {
  std::int64_t prompt_tokens = 0;
  std::int64_t shared_tokens = 0;  // of the prompt: found in another sequence's cache
  std::int64_t new_tokens = 0;
  std::int64_t drafted = 0;
  std::int64_t accepted = 0;
  std::int64_t preemptions = 0;
  std::int64_t dropped_tokens = 0;  // given up in the cache
};

// A new token with the text that it makes safe to show; or that the oldest tokens were dropped before the next; or the end, with the text that was
// still held back.
struct Event {
  RequestId request = 0;
  std::optional<std::int32_t> token{};
  std::string text{};               // whole UTF-8 sequences; empty without a tokenizer
  std::int64_t dropped_tokens = 0;  // in this event
  std::optional<EndReason> end{};
  std::optional<Error> error{};  // of `failed`
  Usage usage{};                 // at the end
};

// False: nothing more is wanted; the request ends as cancelled. Only what it returns for a token counts.
using EventSink = std::function<bool(const Event& event)>;

struct Request {
  std::vector<std::int32_t> prompt{};
  std::int64_t max_tokens = 128;          // new ones, 0 or more
  std::vector<std::int64_t> stop_ids{};   // the answer ends before any of these
  std::vector<std::string> stop_texts{};  // the text ends before the first of these
  runtime::SamplerOptions sampler = runtime::SamplerOptions();
  // A cache that is full goes on without its oldest page behind the first keep_tokens (whole pages), instead of the request being refused.
  bool drop_oldest = false;
  std::int64_t keep_tokens = 0;
  EventSink on_event{};  // may be empty
};

// Tokens that a sequence's cache may hold: the context, or what the budget holds of one that is alone.
std::int64_t cache_limit(const model::ModelConfig& config, const engine::PagePool& pages);
Status check_request(const Request& request, const model::ModelConfig& config, const engine::PagePool& pages,
                     bool has_tokenizer);

}  // namespace quernel::serve
