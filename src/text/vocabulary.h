// Everything a tokenizer is made of, as plain data: filled from tokenizer.json (text/tokenizer_json.h) or from GGUF
// fields (text/gguf_vocabulary.h), checked by Tokenizer::create.
//
// Path of a text   added tokens with normalized = false are cut out; the rest passes `normalize`; added tokens with
//                  normalized = true are cut out of that; the rest is cut by `pre` into pieces; BPE makes ids of a
//                  piece
// Path of ids      raw tokens, each changed by `decode` in order, joined
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace quernel::text {

enum class TokenKind { normal, unknown, control, user_defined, unused, byte };

enum class BpeModel {
  byte_level,     // tokens are bytes written in the printable byte alphabet (GPT-2); text is bytes
  byte_fallback,  // tokens are characters (U+2581 for the space), text is characters; SentencePiece-type
};

enum class NormalizeKind { nfc, prepend, replace_text, replace_regex };

struct NormalizeStep {
  NormalizeKind kind = NormalizeKind::nfc;
  std::string pattern;  // replace: what is looked for
  std::string content;  // replace, prepend: what is put there
};

// What becomes of the matches of a split; gaps between matches are always pieces.
enum class SplitBehavior { isolated, removed, merged_with_previous, merged_with_next, contiguous };

enum class PrependScheme { always, first, never };

enum class PreKind {
  split_regex,   // a known rule (text/split_rules.h), else PCRE2
  split_text,    // a literal pattern
  digits,        // Unicode numbers, one by one or in runs
  prefix_space,  // a space before a piece that does not begin with one
  metaspace,     // spaces become `content`, one is put in front as `prepend` says, cut before each where `split`
};

struct PreStep {
  PreKind kind = PreKind::split_regex;
  std::string pattern;  // split_regex, split_text; metaspace: the character that stands for a space
  SplitBehavior behavior = SplitBehavior::isolated;
  bool invert = false;      // gaps count as matches and matches as gaps
  bool individual = false;  // digits
  PrependScheme prepend = PrependScheme::always;
  bool split = true;
};

enum class DecodeKind {
  byte_level,     // byte alphabet to bytes; a token with other characters stays as it is
  replace_text,   // pattern -> content inside a token
  byte_fallback,  // <0xNN> to the byte
  fuse,           // tokens are joined; steps after it see the whole text
  strip,          // up to `count` times `content` away from the start
  metaspace,      // pattern -> space; in the first token it is left out unless prepend is never
};

struct DecodeStep {
  DecodeKind kind = DecodeKind::byte_level;
  std::string pattern;
  std::string content;
  int count = 0;
  PrependScheme prepend = PrependScheme::always;
};

struct AddedToken {
  std::int32_t id = 0;
  std::string content;
  bool special = false;      // skipped by decode unless asked for
  bool normalized = false;   // searched in normalized text
  bool single_word = false;  // only where no word character is beside it
  bool strip_left = false;   // takes the white space before it
  bool strip_right = false;
  bool in_model = true;  // also a token of the model, which merging can reach
};

struct Vocabulary {
  BpeModel model = BpeModel::byte_level;
  std::vector<std::string> tokens;  // by id; raw (byte alphabet or U+2581 forms); empty where an id is not used
  std::vector<TokenKind> kinds;     // by id; may be empty: all normal
  std::vector<float> scores;        // by id; byte_fallback vocabularies from GGUF, which have no merges
  std::vector<std::pair<std::string, std::string>> merges;  // by rank; empty with scores: the better score first
  std::vector<AddedToken> added;                            // their contents are in tokens too

  std::vector<NormalizeStep> normalize;
  std::vector<PreStep> pre;
  std::vector<DecodeStep> decode;  // empty: tokens joined with spaces, as the reference does without a decoder

  bool ignore_merges = false;  // a whole piece found in the vocabulary is one token
  bool byte_tokens = false;    // characters without a token become their <0xNN> tokens
  bool fuse_unknown = false;   // neighbouring unknown characters make one unknown token
  bool added_as_text = false;  // added tokens decode to their content, whatever `decode` says (GGUF)

  std::optional<std::int32_t> bos, eos, unk, pad;
  bool add_bos = false;  // what encode adds when special tokens are asked for
  bool add_eos = false;
  std::vector<std::int32_t> prefix,
      suffix;  // added instead of bos and eos where not empty (templates of several tokens)
};

}  // namespace quernel::text
