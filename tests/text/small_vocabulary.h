// Vocabularies small enough to read, for tests.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "text/byte_alphabet.h"
#include "text/split_rules.h"
#include "text/utf8.h"
#include "text/vocabulary.h"

namespace quernel::test {

using Merges = std::vector<std::pair<std::string, std::string>>;

// Ids 0 to 255 are the bytes; then the results of the merges, in order.
inline text::Vocabulary byte_vocabulary(const Merges& merges, const std::string& rule = "gpt2") {
  text::Vocabulary out;
  for (int byte = 0; byte < 256; ++byte)
    out.tokens.push_back(text::to_alphabet(std::string(1, static_cast<char>(byte))));
  for (const auto& [left, right] : merges) out.tokens.push_back(left + right);
  out.merges = merges;
  out.decode = {{}};
  if (!rule.empty()) {
    text::PreStep step;
    step.pattern = std::string(text::find_split_rule_by_name(rule)->pattern);
    out.pre = {step};
  }
  return out;
}

// <unk>, the 256 byte tokens, then `tokens`; spaces as U+2581, one in front.
inline text::Vocabulary piece_vocabulary(const std::vector<std::string>& tokens, const Merges& merges) {
  text::Vocabulary out;
  out.model = text::BpeModel::byte_fallback;
  out.byte_tokens = true;
  out.fuse_unknown = true;
  out.unk = 0;
  out.tokens = {"<unk>"};
  for (int byte = 0; byte < 256; ++byte) out.tokens.push_back(text::byte_token(static_cast<std::uint8_t>(byte)));
  out.tokens.insert(out.tokens.end(), tokens.begin(), tokens.end());
  for (const auto& [left, right] : merges) out.tokens.push_back(left + right);
  out.merges = merges;
  const std::string mark = "\u2581";
  out.normalize = {{text::NormalizeKind::prepend, "", mark}, {text::NormalizeKind::replace_text, " ", mark}};
  out.decode = {{text::DecodeKind::replace_text, mark, " ", 0, {}},
                {text::DecodeKind::byte_fallback, "", "", 0, {}},
                {text::DecodeKind::fuse, "", "", 0, {}},
                {text::DecodeKind::strip, "", " ", 1, {}}};
  return out;
}

inline text::AddedToken added(std::int32_t id, const std::string& content, bool special = false) {
  text::AddedToken token;
  token.id = id;
  token.content = content;
  token.special = special;
  token.in_model = false;
  return token;
}

// Adds the token at the end of the table and gives its id.
inline std::int32_t add_token(text::Vocabulary& vocabulary, const std::string& content, bool special) {
  const auto id = static_cast<std::int32_t>(vocabulary.tokens.size());
  vocabulary.tokens.push_back(content);
  vocabulary.added.push_back(added(id, content, special));
  return id;
}

}  // namespace quernel::test
