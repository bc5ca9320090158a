// One text continued, by either runtime.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "quernel/quernel.h"
#include "runtime/float_model.h"
#include "serve/scheduler.h"
#include "text/tokenizer.h"

namespace quernel::api {

struct Completion {
  std::string text;
  std::vector<std::int32_t> tokens;  // without a stop token
  std::string stop;                  // stop_token, stop_text, max_tokens, callback
  std::size_t read_tokens = 0;       // of the prompt: what no cache held
  double prefill_seconds = 0.0;      // to the first token
  double decode_seconds = 0.0;       // from there on
  std::int64_t drafted = 0;
  std::int64_t accepted = 0;
  std::int64_t dropped = 0;  // tokens forgotten on the way
};

// False ends the text. Whole UTF-8 sequences, never empty.
using TextCallback = std::function<bool(std::string_view piece)>;

// Errors: those of serve::Scheduler::submit and runtime::generate; invalid_argument for speculation in the float runtime.
Result<Completion> complete_text(serve::Scheduler& scheduler, const text::Tokenizer& tokenizer,
                                 std::vector<std::int32_t> prompt, const std::vector<std::int64_t>& stop_ids,
                                 const GenerateOptions& options, const TextCallback& on_text);
Result<Completion> complete_text(const runtime::FloatModel& model, const text::Tokenizer& tokenizer,
                                 const std::vector<std::int32_t>& prompt, const std::vector<std::int64_t>& stop_ids,
                                 const GenerateOptions& options, const TextCallback& on_text);

}  // namespace quernel::api
