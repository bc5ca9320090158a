// Does a quantized model still speak? Prompts are continued greedily, all of them together, and the answers looked at for
// the faults that perplexity does not show: loops, answers that end at once, broken UTF-8.
//
// Loops     the last tokens repeat with a period of at most 16, four times or more
// Ended     a stop token among the first four
// Broken    the answer's bytes are not UTF-8 (a character cut at its very end does not count)
// Verdict   against the source's own answers: small models loop under greedy decoding too
// Exact     the same answers for any number of threads
// Memory    one model at a time: answer with each, then judge
// Errors    those of the runtime; interrupted
// Threads   one thread at a time
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/float_model.h"
#include "text/tokenizer.h"

namespace quernel::eval {

struct Answer {
  std::vector<std::int32_t> tokens;
  std::string text;
  bool stopped = false;  // at a stop token
};

// English, code, Korean and others; questions, lists, dialogue, numbers. Written for this purpose.
std::span<const char* const> sanity_prompts();

Result<std::vector<Answer>> answer_prompts(const runtime::FloatModel& model, const text::Tokenizer& tokenizer,
                                           std::span<const char* const> prompts, std::int64_t max_tokens);

bool loops(std::span<const std::int32_t> tokens);
bool is_broken_utf8(const std::string& text);

struct Faults {
  double loop_share = 0.0;
  double early_end_share = 0.0;
  double broken_share = 0.0;
};

struct SanityLimits {  // how much more than the source's share is borne
  double more_loops = 0.25;
  double more_early_ends = 0.15;
  double more_broken = 0.05;
};

struct SanityVerdict {
  Faults source, result;
  double same_first_tokens = 0.0;  // mean share of the answer's tokens before the first that differs
  bool sane = true;
  std::string reason;  // of a refusal
};

// Answers to the same prompts.
SanityVerdict judge(std::span<const Answer> source, std::span<const Answer> result, const SanityLimits& limits = {});

}  // namespace quernel::eval
