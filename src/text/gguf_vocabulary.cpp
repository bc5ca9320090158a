#include "text/gguf_vocabulary.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/checked.h"
#include "text/byte_alphabet.h"
#include "text/limits.h"
#include "text/split_rules.h"
#include "text/utf8.h"

namespace quernel::text {
namespace {

constexpr std::string_view kSpaceMark = "\u2581";

// How a value of tokenizer.ggml.pre cuts text: rules by name, "digits" for the Digits step.
struct PreRow {
  std::string_view name;
  std::string_view rules;  // separated by spaces
  bool ignore_merges = false;
  bool add_bos = false;  // unless the file says otherwise
  bool nfc = false;      // the normalizer of the models' own tokenizer.json, which GGUF has no key for
};

constexpr std::string_view kDeepseekLlm = "newline spaced-cased spaced-marks trailing-space cjk-hangul digits";
constexpr std::string_view kDeepseekCoder = "newline spaced-letters spaced-punctuation cjk-hangul digits";
constexpr std::string_view kDeepseekV3 = "three-numbers cjk-kana deepseek-v3";

constexpr PreRow kPreRows[] = {
    {"gpt-2", "gpt2", false, false, false},
    {"phi-2", "gpt2", false, false, false},
    {"mpt", "gpt2", false, false, false},
    {"olmo", "gpt2", false, false, false},
    {"jais", "gpt2", false, false, false},
    {"trillion", "gpt2", false, false, false},
    {"granite-docling", "gpt2", false, false, false},
    {"smollm", "digits gpt2", false, false, false},
    {"starcoder", "digits gpt2", false, false, false},
    {"refact", "digits gpt2", false, false, false},
    {"command-r", "digits gpt2", false, false, false},
    {"codeshell", "digits gpt2", false, false, false},
    {"exaone", "digits gpt2", false, false, false},
    {"minerva-7b", "digits gpt2", false, false, false},
    {"llama-bpe", "llama3", true, true, false},
    {"llama3", "llama3", true, true, false},
    {"llama-v3", "llama3", true, true, false},
    {"falcon3", "llama3", true, true, false},
    {"falcon-h1", "llama3", true, true, false},
    {"pixtral", "llama3", true, true, false},
    {"dbrx", "llama3", false, false, false},
    {"smaug-bpe", "llama3", false, false, false},
    {"glm4", "llama3", false, false, false},
    {"chatglm-bpe", "llama3", false, false, false},
    {"qwen2", "qwen2", false, false, true},
    {"deepseek-r1-qwen", "qwen2", false, false, true},
    {"stablelm2", "qwen2", false, false, false},
    {"hunyuan", "qwen2", false, false, false},
    {"megrez", "qwen2", false, false, false},
    {"tekken", "tekken", true, true, false},
    {"gpt-4o", "o200k", false, false, false},
    {"deepseek-llm", kDeepseekLlm, false, false, false},
    {"deepseek-coder", kDeepseekCoder, false, false, false},
    {"deepseek-v3", kDeepseekV3, false, false, false},
    {"hunyuan-dense", kDeepseekV3, false, false, false},
};

Result<const PreRow*> find_pre(const std::string& name) {
  for (const PreRow& row : kPreRows) {
    if (row.name == name) return &row;
  }
  std::string known;
  for (const PreRow& row : kPreRows) known += (known.empty() ? "" : ", ") + std::string(row.name);
  const std::string shown = repair_utf8(name).substr(0, 80);
  return Error(Fault::unsupported, fmt::format("no rule for the pre-tokenizer '{}'", shown))
      .in_field("tokenizer.ggml.pre")
      .expect(known, shown.empty() ? "no name" : shown);
}

std::vector<PreStep> steps_of(std::string_view rules) {
  std::vector<PreStep> steps;
  while (!rules.empty()) {
    const std::size_t space = std::min(rules.find(' '), rules.size());
    const std::string_view name = rules.substr(0, space);
    PreStep step;
    if (name == "digits") {
      step.kind = PreKind::digits;
      step.individual = true;
    } else {
      const SplitRule* rule = find_split_rule_by_name(name);
      QUERNEL_CHECK(rule != nullptr, "no split rule {}", name);
      step.pattern = std::string(rule->pattern);
    }
    steps.push_back(std::move(step));
    rules.remove_prefix(std::min(space + 1, rules.size()));
  }
  return steps;
}

Status read_byte_level(const GgufTokenizerFields& fields, Vocabulary& out) {
  QUERNEL_TRY(const PreRow* row, find_pre(fields.pre));
  out.model = BpeModel::byte_level;
  out.pre = steps_of(row->rules);
  out.ignore_merges = row->ignore_merges;
  out.add_bos = fields.add_bos.value_or(row->add_bos);
  if (row->nfc) out.normalize.push_back({NormalizeKind::nfc, "", ""});
  out.decode = {{}};
  if (fields.merges.size() > kMaxMerges) {
    return Error(Fault::limit_exceeded, "too many merges").in_field("tokenizer.ggml.merges");
  }
  out.merges.reserve(fields.merges.size());
  for (std::size_t i = 0; i < fields.merges.size(); ++i) {
    const std::string& merge = fields.merges[i];
    const std::size_t space = merge.find(' ', 1);  // the first piece is not empty
    if (space == std::string::npos || space + 1 == merge.size()) {
      return Error(Fault::corrupt, "a merge is not two tokens with a space between them")
          .in_field(fmt::format("tokenizer.ggml.merges[{}]", i));
    }
    out.merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
  }
  return ok_status();
}

Status read_sentencepiece(GgufTokenizerFields& fields, Vocabulary& out) {
  out.model = BpeModel::byte_fallback;
  out.byte_tokens = true;
  out.scores = std::move(fields.scores);
  if (out.scores.size() != out.tokens.size()) {
    return Error(Fault::corrupt, "scores do not have an entry for each token")
        .in_field("tokenizer.ggml.scores")
        .expect(std::to_string(out.tokens.size()), std::to_string(out.scores.size()));
  }
  out.add_bos = fields.add_bos.value_or(true);
  const std::string mark(kSpaceMark);
  const bool prefix = fields.add_space_prefix.value_or(true);
  if (prefix) out.normalize.push_back({NormalizeKind::prepend, "", mark});
  out.normalize.push_back({NormalizeKind::replace_text, " ", mark});
  out.decode = {{DecodeKind::replace_text, mark, " "}, {DecodeKind::byte_fallback, "", ""}, {DecodeKind::fuse, "", ""}};
  if (prefix) out.decode.push_back({DecodeKind::strip, "", " ", 1});
  // What files without these keys mean.
  if (!fields.bos && out.tokens.size() > 1) fields.bos = 1;
  if (!fields.eos && out.tokens.size() > 2) fields.eos = 2;
  if (!fields.unk) fields.unk = 0;
  return ok_status();
}

Status read_kinds(const GgufTokenizerFields& fields, Vocabulary& out) {
  if (fields.token_types.empty()) return ok_status();
  if (fields.token_types.size() != out.tokens.size()) {
    return Error(Fault::corrupt, "token types do not have an entry for each token")
        .in_field("tokenizer.ggml.token_type")
        .expect(std::to_string(out.tokens.size()), std::to_string(fields.token_types.size()));
  }
  constexpr TokenKind kKinds[] = {TokenKind::normal,       TokenKind::normal, TokenKind::unknown, TokenKind::control,
                                  TokenKind::user_defined, TokenKind::unused, TokenKind::byte};
  out.kinds.reserve(out.tokens.size());
  for (std::size_t id = 0; id < out.tokens.size(); ++id) {
    const std::int32_t type = fields.token_types[id];
    const std::string field = fmt::format("tokenizer.ggml.token_type[{}]", id);
    if (type < 0 || type > 6) {
      return Error(Fault::corrupt, "an unknown token type").in_field(field).expect("0 to 6", std::to_string(type));
    }
    const TokenKind kind = kKinds[type];
    const std::string& token = out.tokens[id];
    if (kind == TokenKind::byte && !byte_token_value(token)) {
      return Error(Fault::corrupt, "a byte token is malformed")
          .in_field(fmt::format("tokenizer.ggml.tokens[{}]", id))
          .expect("<0x00> to <0xFF>", repair_utf8(token).substr(0, 80));
    }
    out.kinds.push_back(kind);
    const bool special = kind == TokenKind::control || kind == TokenKind::unknown;
    if ((!special && kind != TokenKind::user_defined) || token.empty()) continue;
    AddedToken added;
    added.id = static_cast<std::int32_t>(id);
    added.content = token;
    added.special = special;
    out.added.push_back(std::move(added));
  }
  return ok_status();
}

Status read_role(const char* field, const std::optional<std::int64_t>& value, std::size_t tokens,
                 std::optional<std::int32_t>& out) {
  if (!value) return ok_status();
  if (*value < 0 || static_cast<std::uint64_t>(*value) >= tokens) {
    return Error(Fault::corrupt, "a token id is outside the vocabulary")
        .in_field(fmt::format("tokenizer.ggml.{}_token_id", field))
        .expect(fmt::format("0 to {}", tokens - 1), std::to_string(*value));
  }
  out = checked_cast<std::int32_t>(*value);
  return ok_status();
}

Result<Vocabulary> read_fields(GgufTokenizerFields& fields) {
  Vocabulary out;
  out.tokens = std::move(fields.tokens);
  out.added_as_text = true;
  if (out.tokens.empty() || out.tokens.size() > kMaxTokens) {
    return Error(out.tokens.empty() ? Fault::corrupt : Fault::limit_exceeded, "no tokens, or too many")
        .in_field("tokenizer.ggml.tokens")
        .expect(fmt::format("1 to {}", kMaxTokens), std::to_string(out.tokens.size()));
  }
  if (fields.model == "gpt2") {
    QUERNEL_TRY_STATUS(read_byte_level(fields, out));
  } else if (fields.model == "llama") {
    QUERNEL_TRY_STATUS(read_sentencepiece(fields, out));
  } else {
    const std::string shown = repair_utf8(fields.model).substr(0, 80);
    return Error(Fault::unsupported, fmt::format("no tokenizer for the model '{}'", shown))
        .in_field("tokenizer.ggml.model")
        .expect("gpt2 or llama", shown.empty() ? "no name" : shown);
  }
  out.add_eos = fields.add_eos.value_or(false);
  QUERNEL_TRY_STATUS(read_kinds(fields, out));
  QUERNEL_TRY_STATUS(read_role("bos", fields.bos, out.tokens.size(), out.bos));
  QUERNEL_TRY_STATUS(read_role("eos", fields.eos, out.tokens.size(), out.eos));
  QUERNEL_TRY_STATUS(read_role("unknown", fields.unk, out.tokens.size(), out.unk));
  QUERNEL_TRY_STATUS(read_role("padding", fields.pad, out.tokens.size(), out.pad));
  return out;
}

}  // namespace

Result<Vocabulary> vocabulary_from_gguf(GgufTokenizerFields fields, const std::string& file) {
  auto vocabulary = read_fields(fields);
  if (!vocabulary.ok()) return std::move(vocabulary).error().in_file(file);
  return vocabulary;
}

}  // namespace quernel::text
