// The tokenizer files of a Hugging Face folder, made from a GGUF file, which has none.
//
// Exact    the `tokenizers` package gives the ids for tokenizer.json that our tokenizer gives for the GGUF file
// Merges   vocabularies with scores get merges in the order of their results' scores: what SentencePiece's rule does
// Errors   unsupported: a step that tokenizer.json has no component for
// Threads  pure functions
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/result.h"
#include "io/gguf.h"
#include "text/vocabulary.h"

namespace quernel::model {

Result<std::string> tokenizer_json(const text::Vocabulary& vocabulary);

// Contents by file name: tokenizer.json, tokenizer_config.json (with the chat template), special_tokens_map.json.
// max_positions becomes model_max_length.
Result<std::map<std::string, std::string>> tokenizer_files(const io::GgufFile& file, std::int64_t max_positions);

}  // namespace quernel::model
