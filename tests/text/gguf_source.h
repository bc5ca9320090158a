// Tokenizer fields of a GGUF file, for tests of vocabularies: the text wing itself reads no files.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "io/gguf.h"
#include "text/gguf_vocabulary.h"
#include "text/tokenizer.h"

namespace quernel::test {

inline Result<text::GgufTokenizerFields> gguf_tokenizer_fields(const io::GgufMetadata& metadata) {
  const std::string prefix = "tokenizer.ggml.";
  text::GgufTokenizerFields fields;
  QUERNEL_TRY(fields.model, metadata.string(prefix + "model"));
  QUERNEL_TRY(fields.pre, metadata.string_or(prefix + "pre", ""));
  QUERNEL_TRY(const auto tokens, metadata.strings(prefix + "tokens"));
  fields.tokens.assign(tokens.begin(), tokens.end());
  if (metadata.has(prefix + "merges")) {
    QUERNEL_TRY(const auto merges, metadata.strings(prefix + "merges"));
    fields.merges.assign(merges.begin(), merges.end());
  }
  if (metadata.has(prefix + "scores")) {
    QUERNEL_TRY(fields.scores, metadata.floats(prefix + "scores"));
  }
  if (metadata.has(prefix + "token_type")) {
    QUERNEL_TRY(const auto types, metadata.integers(prefix + "token_type"));
    for (const std::int64_t type : types) fields.token_types.push_back(static_cast<std::int32_t>(type));
  }
  const std::pair<const char*, std::optional<std::int64_t>*> ids[] = {
      {"bos", &fields.bos}, {"eos", &fields.eos}, {"unknown", &fields.unk}, {"padding", &fields.pad}};
  for (const auto& [name, id] : ids) {
    const std::string key = prefix + name + "_token_id";
    if (metadata.has(key)) {
      QUERNEL_TRY(*id, metadata.i64(key));
    }
  }
  const std::pair<const char*, std::optional<bool>*> flags[] = {{"add_bos_token", &fields.add_bos},
                                                                {"add_eos_token", &fields.add_eos},
                                                                {"add_space_prefix", &fields.add_space_prefix}};
  for (const auto& [name, flag] : flags) {
    if (metadata.has(prefix + name)) {
      QUERNEL_TRY(*flag, metadata.boolean(prefix + name));
    }
  }
  return fields;
}

inline Result<text::Tokenizer> open_gguf_tokenizer(const std::string& path) {
  QUERNEL_TRY(const io::GgufFile file, io::GgufFile::open(path));
  QUERNEL_TRY(text::GgufTokenizerFields fields, gguf_tokenizer_fields(file.metadata()));
  QUERNEL_TRY(text::Vocabulary vocabulary, text::vocabulary_from_gguf(std::move(fields), path));
  return text::Tokenizer::create(std::move(vocabulary));
}

}  // namespace quernel::test
