// tokenizer.ggml.* values of a GGUF file -> Vocabulary.
//
// Models   "gpt2" (byte-level BPE, cut by the rule that `pre` names), "llama" (SentencePiece-type, merged by score)
// Errors   unsupported: another model, or a `pre` without a rule (the error lists those known); corrupt: tables of
//          different lengths, a merge without a space, an id outside the table, a malformed <0xNN>
// Exact    the ids of llama.cpp; but Qwen's text is normalized to NFC, as its own tokenizer does and llama.cpp does not
// Source   specs of the keys: the GGUF description in llama.cpp; vectors of its vocabulary tests
// Threads  pure function
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "text/vocabulary.h"

namespace quernel::text {

// As the file says; an absent key is an empty value.
struct GgufTokenizerFields {
  std::string model;                               // tokenizer.ggml.model
  std::string pre;                                 // tokenizer.ggml.pre
  std::vector<std::string> tokens;                 // tokenizer.ggml.tokens
  std::vector<float> scores;                       // tokenizer.ggml.scores
  std::vector<std::int32_t> token_types;           // tokenizer.ggml.token_type: 1 normal .. 6 byte
  std::vector<std::string> merges;                 // tokenizer.ggml.merges: "left right"
  std::optional<std::int64_t> bos, eos, unk, pad;  // tokenizer.ggml.{bos,eos,unknown,padding}_token_id
  std::optional<bool> add_bos, add_eos, add_space_prefix;
};

Result<Vocabulary> vocabulary_from_gguf(GgufTokenizerFields fields, const std::string& file);

}  // namespace quernel::text
