#include "model/tokenizer_json_writer.h"

#include <algorithm>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/json_reader.h"
#include "model/gguf_fields.h"
#include "model/tokenizer_source.h"
#include "model/tokenizer_steps.h"

namespace quernel::model {

namespace {

using Merge = std::pair<std::string, std::string>;

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_sequence_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string quoted(const std::string& text) { return dump_json(Json(text)); }

text::TokenKind kind_of(const text::Vocabulary& vocabulary, std::size_t id) {
  return vocabulary.kinds.empty() ? text::TokenKind::normal : vocabulary.kinds[id];
}

// Converters fill the embedding's spare rows with these; no tokenizer has them.
bool is_filler(const text::Vocabulary& vocabulary, std::size_t id) {
  return vocabulary.tokens[id].empty() ||
         (kind_of(vocabulary, id) == text::TokenKind::unused && vocabulary.tokens[id] == fmt::format("[PAD{}]", id));
}

// Objects of many thousand keys are written as text: the tree's objects search their keys one by one.
Result<std::string> vocab_text(const text::Vocabulary& vocabulary) {
  std::string out = "{";
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (is_filler(vocabulary, id)) continue;
    if (!is_utf8(vocabulary.tokens[id]))
      return Error(Fault::unsupported, fmt::format("token {} is not UTF-8, which tokenizer.json cannot hold", id));
    out += fmt::format("{}{}:{}", out.size() > 1 ? "," : "", quoted(vocabulary.tokens[id]), id);
  }
  return out + "}";
}

struct ScoredMerge {
  float score;
  std::size_t left;
  std::size_t right;
};

// All ways to put a token together from two others, by the score of the whole. Equal scores keep the order of ids.
std::vector<Merge> merges_of_scores(const text::Vocabulary& vocabulary) {
  std::unordered_map<std::string_view, std::size_t> ids;
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) ids.emplace(vocabulary.tokens[id], id);
  std::vector<ScoredMerge> found;
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const text::TokenKind kind = kind_of(vocabulary, id);
    if (kind != text::TokenKind::normal && kind != text::TokenKind::user_defined) continue;
    const std::string_view whole = vocabulary.tokens[id];
    for (std::size_t at = utf8_sequence_length(whole); at > 0 && at < whole.size();) {
      const auto left = ids.find(whole.substr(0, at));
      const auto right = ids.find(whole.substr(at));
      if (left != ids.end() && right != ids.end())
        found.push_back({vocabulary.scores[id], left->second, right->second});
      const std::size_t step = utf8_sequence_length(whole.substr(at));
      if (step == 0) break;
      at += step;
    }
  }
  std::ranges::stable_sort(found, std::ranges::greater(), &ScoredMerge::score);
  std::vector<Merge> merges;
  merges.reserve(found.size());
  for (const ScoredMerge& merge : found)
    merges.emplace_back(vocabulary.tokens[merge.left], vocabulary.tokens[merge.right]);
  return merges;
}

std::string merges_text(const std::vector<Merge>& merges) {
  std::string out = "[";
  for (const auto& [left, right] : merges)
    out += fmt::format("{}[{},{}]", out.size() > 1 ? "," : "", quoted(left), quoted(right));
  return out + "]";
}

Result<std::string> model_text(const text::Vocabulary& vocabulary) {
  const bool characters = vocabulary.model == text::BpeModel::byte_fallback;
  Json head{{"type", "BPE"}, {"dropout", nullptr}};
  head["unk_token"] =
      characters && vocabulary.unk ? Json(vocabulary.tokens[static_cast<std::size_t>(*vocabulary.unk)]) : Json(nullptr);
  head["continuing_subword_prefix"] = nullptr;
  head["end_of_word_suffix"] = nullptr;
  head["fuse_unk"] = vocabulary.fuse_unknown;
  head["byte_fallback"] = vocabulary.byte_tokens;
  head["ignore_merges"] = vocabulary.ignore_merges;
  std::string text = dump_json(head);
  text.pop_back();
  QUERNEL_TRY(const std::string vocab, vocab_text(vocabulary));
  const bool scored = vocabulary.merges.empty() && vocabulary.scores.size() == vocabulary.tokens.size();
  const std::string merges = merges_text(scored ? merges_of_scores(vocabulary) : vocabulary.merges);
  text += fmt::format(",\"vocab\":{},\"merges\":{}}}", vocab, merges);
  return text;
}

std::string added_text(const text::Vocabulary& vocabulary) {
  std::string out = "[";
  for (const text::AddedToken& token : vocabulary.added) {
    if (out.size() > 1) out += ',';
    out += dump_json(Json{{"id", token.id},
                          {"content", token.content},
                          {"single_word", token.single_word},
                          {"lstrip", token.strip_left},
                          {"rstrip", token.strip_right},
                          {"normalized", token.normalized},
                          {"special", token.special}});
  }
  return out + "]";
}

Json special_tokens(const text::Vocabulary& vocabulary) {
  Json out = Json::object();
  const auto add = [&](const char* key, const std::optional<std::int32_t>& id) {
    if (id) out[key] = vocabulary.tokens[static_cast<std::size_t>(*id)];
  };
  add("bos_token", vocabulary.bos);
  add("eos_token", vocabulary.eos);
  add("unk_token", vocabulary.unk);
  add("pad_token", vocabulary.pad);
  return out;
}

Result<Json> tokenizer_config(const text::Vocabulary& vocabulary, const io::GgufFile& file,
                              std::int64_t max_positions) {
  Json config{{"tokenizer_class", "PreTrainedTokenizerFast"}};
  config.update(special_tokens(vocabulary));
  config["add_bos_token"] = vocabulary.add_bos;
  config["add_eos_token"] = vocabulary.add_eos;
  config["add_prefix_space"] = false;
  config["clean_up_tokenization_spaces"] = false;
  config["model_max_length"] = max_positions;
  const GgufFields fields(file, "tokenizer.");
  if (fields.has("chat_template")) {
    QUERNEL_TRY(config["chat_template"], fields.string("chat_template"));
  }
  return config;
}

}  // namespace

Result<std::string> tokenizer_json(const text::Vocabulary& vocabulary) {
  QUERNEL_TRY(const Json pre, pre_tokenizer_json(vocabulary));
  QUERNEL_TRY(const std::string model, model_text(vocabulary));
  return fmt::format(R"({{"version":"1.0","truncation":null,"padding":null,"added_tokens":{},"normalizer":{},)"
                     R"("pre_tokenizer":{},"post_processor":{},"decoder":{},"model":{}}})",
                     added_text(vocabulary), dump_json(normalizer_json(vocabulary)), dump_json(pre),
                     dump_json(post_processor_json(vocabulary)), dump_json(decoder_json(vocabulary)), model) +
         '\n';
}

Result<std::map<std::string, std::string>> tokenizer_files(const io::GgufFile& file, std::int64_t max_positions) {
  QUERNEL_TRY(const text::Vocabulary vocabulary, gguf_vocabulary(file));
  std::map<std::string, std::string> files;
  Result<std::string> tokenizer = tokenizer_json(vocabulary);
  if (!tokenizer.ok()) return std::move(tokenizer).error().in_file(file.path());
  files["tokenizer.json"] = std::move(*tokenizer);
  QUERNEL_TRY(const Json config, tokenizer_config(vocabulary, file, max_positions));
  files["tokenizer_config.json"] = dump_json(config, 2) + "\n";
  files["special_tokens_map.json"] = dump_json(special_tokens(vocabulary), 2) + "\n";
  return files;
}

}  // namespace quernel::model
