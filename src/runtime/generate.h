// Continues a sequence of tokens.
//
// Errors   invalid_argument: empty prompt, token id outside the vocabulary, options out of range; limit_exceeded: prompt +
//          max_tokens pass the context (options.context, at most the model's own)
// Threads  one thread at a time; the callback runs in the calling thread
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "runtime/float_model.h"
#include "runtime/sampler.h"

namespace quernel::runtime {

struct GenerateOptions {
  std::int64_t max_tokens = 128;         // generated ones
  std::int64_t context = 0;              // positions reserved for prompt and answer; 0: as many as this call needs
  std::vector<std::int64_t> stop_ids{};  // generation ends before any of these; usually config().eos_token_ids
  SamplerOptions sampler{};
  std::int64_t prefill_chunk = 512;  // prompt tokens a pass: bounds the memory of activations
};

enum class StopReason { stop_token, max_tokens, callback };
const char* to_string(StopReason reason);

struct Generation {
  std::vector<std::int32_t> tokens;  // without the stop token
  StopReason reason = StopReason::max_tokens;
  double prefill_seconds = 0.0;
  double decode_seconds = 0.0;  // choosing the tokens, and passes for all but the first
};

// Called with each new token as soon as it is known; false ends generation (the token stays in the result).
using TokenCallback = std::function<bool(std::int32_t token)>;

// A sequence that some runtime extends token by token.
class TokenSequence {
 public:
  virtual ~TokenSequence() = default;
  [[nodiscard]] virtual const model::ModelConfig& config() const = 0;
  // The tokens follow what is there; logits [vocab] of the last of them. Long runs are cut into passes.
  virtual Status append(std::span<const std::int32_t> tokens, std::span<float> logits) = 0;
};

// Whether prompt and answer fit. Errors: as above.
Status check_generation(const model::ModelConfig& config, std::size_t prompt_size, const GenerateOptions& options);
// `context`: all tokens of the sequence, of which the last `fresh` (at least one) are not appended yet; grows by what is generated.
Result<Generation> continue_sequence(TokenSequence& sequence, std::vector<std::int32_t>& context, std::size_t fresh,
                                     const GenerateOptions& options, const TokenCallback& on_token = {});

Result<Generation> generate(const FloatModel& model, std::span<const std::int32_t> prompt,
                            const GenerateOptions& options, const TokenCallback& on_token = {});

}  // namespace quernel::runtime
