// Everything a tokenizer is made of, as plain data: filled from tokenizer.json (text/tokenizer_json.h) or from GGUF metadata
// (model/tokenizer_source.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace quernel::text {

enum class TokenKind { normal, unknown, control, user_defined, unused, byte };

enum class BpeModel {
  byte_level,     // tokens in the printable byte alphabet (GPT-2)
  byte_fallback,  // SentencePiece-type: characters, with <0xNN> for bytes that no token covers
};

// How text is cut before BPE: the known rules, each a hand-written matcher.
enum class PreTokenizer { none, gpt2, llama3, qwen2, smollm, deepseek_llm, deepseek_coder, deepseek_v3, tekken, gemma, metaspace };

struct AddedToken {
  std::int32_t id = 0;
  std::string content;
  bool special = false;       // skipped by decode unless asked for
  bool normalized = false;    // searched in normalized text
  bool single_word = false;
  bool strip_left = false;    // takes the white space before it
  bool strip_right = false;
};

struct Vocabulary {
  BpeModel model = BpeModel::byte_level;
  std::vector<std::string> tokens;        // by id; raw (byte alphabet or U+2581 forms)
  std::vector<float> scores;              // by id; byte_fallback models from GGUF, where merges are absent
  std::vector<TokenKind> kinds;           // by id; may be empty: all normal
  std::vector<std::pair<std::string, std::string>> merges;  // by rank; empty: merges follow scores
  std::vector<AddedToken> added;
  PreTokenizer pre = PreTokenizer::gpt2;
  bool ignore_merges = false;             // a whole piece found in the vocabulary is one token
  bool fuse_unknown = false;
  bool normalize_nfc = false;
  bool add_prefix_space = false;          // a space (U+2581) before the text
  bool prefix_space_first_only = false;   // Metaspace prepend_scheme "first": only before the first piece
  bool strip_prefix_space_on_decode = false;
  std::optional<std::int32_t> bos, eos, unk, pad;
  bool add_bos = false;                   // what encode adds when special tokens are asked for
  bool add_eos = false;
};

}  // namespace quernel::text
