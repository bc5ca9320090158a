// The pre-tokenizer: text -> pieces that BPE never joins.
//
// Exact    each step cuts every piece of the step before, as the `tokenizers` package does
// Cost     linear for the hand-written rules; pieces are handed on one by one, not collected
// Threads  const functions from any thread
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/regex.h"
#include "text/split_rules.h"
#include "text/vocabulary.h"

namespace quernel::text {

// Where pieces go; valid during the call only.
struct PieceSink {
  void (*put)(void* self, std::string_view piece) = nullptr;
  void* self = nullptr;
};

class PieceCutter {
 public:
  // Errors: unsupported (regular expression), limit_exceeded
  static Result<PieceCutter> create(const std::vector<PreStep>& steps);

  // Pieces are not empty. text_start: the text begins where the whole input begins (PrependScheme::first).
  void cut(std::string_view text, bool text_start, const PieceSink& sink) const;

 private:
  struct Step {
    PreStep spec;
    Match (*find)(const char* at, const char* end) = nullptr;  // a hand-written rule or digits
    std::optional<Regex> regex;

    [[nodiscard]] Match next(std::string_view piece, const char* at) const;
  };

  void run(std::size_t step, std::string_view piece, bool text_start, const PieceSink& sink) const;
  void split(std::size_t step, std::string_view piece, bool text_start, const PieceSink& sink) const;
  void split_merging(std::size_t step, std::string_view piece, bool text_start, const PieceSink& sink) const;
  void metaspace(std::size_t step, std::string_view piece, bool text_start, const PieceSink& sink) const;
  // Hands a part of `piece` to the next step.
  void pass(std::size_t step, std::string_view piece, const char* begin, const char* end, bool text_start,
            const PieceSink& sink) const;

  std::vector<Step> steps_;
};

}  // namespace quernel::text
