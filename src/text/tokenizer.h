// Text to token ids and back.
//
// Exact    the ids of the `tokenizers` package for tokenizer.json, of llama.cpp's vectors for GGUF vocabularies
// Bytes    encode never fails: bytes that are not UTF-8 keep their value where the vocabulary has byte tokens, and are
//          unknown where it has not. byte_level: decode(encode(x)) == x for any bytes that have tokens, unless added
//          tokens strip white space; bytes without a token are left out, as the reference does
// Cost     linear in the text (n log n in the longest piece); a cache keeps the pieces seen, at most 8 MiB a thread
// Threads  const functions from any thread
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/vocabulary.h"

namespace quernel::text {

struct EncodeOptions {
  bool add_special = false;   // BOS and EOS as the vocabulary says
  bool parse_special = true;  // special tokens written out in the text become their ids; other added tokens always do
};

class Tokenizer {
 public:
  // Errors: corrupt (a merge of unknown tokens, a token twice, ids out of range, no byte tokens), unsupported (a
  // regular expression that cannot be run), limit_exceeded.
  static Result<Tokenizer> create(Vocabulary vocabulary);
  static Result<Tokenizer> from_json(std::string_view tokenizer_json, const std::string& file);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  [[nodiscard]] std::vector<std::int32_t> encode(std::string_view text, const EncodeOptions& options = {}) const;
  // Bytes of the tokens joined; may end inside a UTF-8 sequence only if the ids do. Unknown ids are skipped.
  [[nodiscard]] std::string decode(std::span<const std::int32_t> ids, bool skip_special = true) const;
  [[nodiscard]] std::string token_bytes(std::int32_t id) const;  // what one token adds to the text
  [[nodiscard]] const Vocabulary& vocabulary() const;

 private:
  friend class StreamDecoder;
  struct State;
  explicit Tokenizer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Streaming decode: give ids one by one, get text that never ends inside a UTF-8 sequence. All parts joined are
// decode() with invalid sequences as U+FFFD. The tokenizer outlives the decoder.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special = true);
  std::string push(std::int32_t id);  // what can be shown now, possibly nothing
  std::string finish();               // the rest, broken sequences as U+FFFD

 private:
  void strip_start();

  const Tokenizer* tokenizer_;
  bool skip_special_;
  bool first_ = true;    // no token has been shown
  int strip_left_ = 0;   // how often the text to strip may still go
  std::string pending_;  // bytes not shown yet
};

}  // namespace quernel::text
