// Ids -> bytes: what each token adds to a text, worked out once.
//
// Errors   create: unsupported (an order of decoders that has no meaning token by token)
// Cost     one copy of the tokens
// Threads  const functions from any thread
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/vocabulary.h"

namespace quernel::text {

class Decoder {
 public:
  // `vocabulary` outlives the result and does not move.
  static Result<Decoder> create(const Vocabulary& vocabulary);

  // Appends what the token adds; `first` for the first token of a text. False where it adds nothing because it is
  // unknown or a special token that is skipped.
  bool append(std::int32_t id, bool first, bool skip_special, std::string& out) const;
  [[nodiscard]] std::string_view bytes(std::int32_t id) const;  // for tokens that are not the first; empty if unknown
  [[nodiscard]] bool is_special(std::int32_t id) const;

  // How often strip_text() is taken away from the start of a text.
  [[nodiscard]] int strip_count() const { return strip_count_; }
  [[nodiscard]] const std::string& strip_text() const { return strip_text_; }

 private:
  explicit Decoder(const Vocabulary& vocabulary) : vocabulary_(&vocabulary) {}
  [[nodiscard]] bool known(std::int32_t id) const {
    return id >= 0 && static_cast<std::size_t>(id) + 1 < offsets_.size();
  }
  [[nodiscard]] std::string render(std::size_t id, bool first) const;

  const Vocabulary* vocabulary_;
  std::vector<DecodeStep> token_steps_;
  bool first_differs_ = false;
  std::string strip_text_;
  int strip_count_ = 0;
  std::vector<bool> special_;
  std::vector<bool> as_text_;           // added tokens that no step changes
  std::string arena_;                   // rendered tokens, one behind the other
  std::vector<std::uint32_t> offsets_;  // [tokens + 1]
};

}  // namespace quernel::text
