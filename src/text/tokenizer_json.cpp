#include "text/tokenizer_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>
#include <variant>

#include "base/json_reader.h"
#include "text/json_capture.h"
#include "text/json_steps.h"
#include "text/limits.h"
#include "text/utf8.h"

namespace quernel::text {
namespace {

struct ModelEntry {
  std::string text;
  std::int32_t id = 0;
};

// Parts of the file as they come; in which order is the file's choice.
struct Parts {
  std::vector<ModelEntry> entries;
  std::vector<std::pair<std::string, std::string>> merges;
  std::vector<AddedToken> added;
  Json model_options = Json::object();  // every member of "model" but vocab and merges
  Json normalizer, pre_tokenizer, post_processor, decoder;
  bool has_vocab = false;
  bool has_merges = false;
};

Error over_limit(const JsonReader& reader, const char* what, std::size_t limit) {
  return Error(Fault::limit_exceeded, fmt::format("more than {} {}", limit, what))
      .in_file(reader.file())
      .at(reader.offset());
}

Result<std::int32_t> read_id(JsonReader& reader) {
  QUERNEL_TRY(const JsonNumber number, reader.read_number());
  const auto* value = std::get_if<std::int64_t>(&number);
  if (value == nullptr || *value < 0 || *value >= static_cast<std::int64_t>(kMaxTokens)) {
    return reader.error("a token id is out of range")
        .expect(fmt::format("a whole number from 0 to {}", kMaxTokens - 1), "another");
  }
  return static_cast<std::int32_t>(*value);
}

Status check_length(const JsonReader& reader, const std::string& token) {
  if (token.size() <= kMaxTokenBytes) return ok_status();
  return Error(Fault::limit_exceeded, "a token is too long")
      .in_file(reader.file())
      .at(reader.token_offset())
      .expect(fmt::format("at most {} bytes", kMaxTokenBytes), std::to_string(token.size()));
}

Status read_vocab(JsonReader& reader, Parts& parts) {
  QUERNEL_TRY_STATUS(reader.begin_object());
  std::string token;
  while (true) {
    QUERNEL_TRY(const bool more, reader.next_key(token));
    if (!more) return ok_status();
    QUERNEL_TRY_STATUS(check_length(reader, token));
    QUERNEL_TRY(const std::int32_t id, read_id(reader));
    if (parts.entries.size() >= kMaxTokens) return over_limit(reader, "tokens", kMaxTokens);
    parts.entries.push_back({token, id});
  }
}

// "left right", or ["left", "right"]
Status read_merge(JsonReader& reader, std::pair<std::string, std::string>& merge) {
  QUERNEL_TRY(const JsonKind kind, reader.peek());
  if (kind == JsonKind::string) {
    std::string both;
    QUERNEL_TRY_STATUS(reader.read_string(both));
    const std::size_t space = both.find(' ');
    if (space == std::string::npos || both.find(' ', space + 1) != std::string::npos) {
      return reader.error("a merge is not two tokens with one space between them");
    }
    merge = {both.substr(0, space), both.substr(space + 1)};
    return ok_status();
  }
  QUERNEL_TRY_STATUS(reader.begin_array());
  for (std::string* part : {&merge.first, &merge.second}) {
    QUERNEL_TRY(const bool more, reader.next_element());
    if (!more) return reader.error("a merge of fewer than two tokens");
    QUERNEL_TRY_STATUS(reader.read_string(*part));
  }
  QUERNEL_TRY(const bool more, reader.next_element());
  return more ? Status(reader.error("a merge of more than two tokens")) : ok_status();
}

Status read_merges(JsonReader& reader, Parts& parts) {
  QUERNEL_TRY_STATUS(reader.begin_array());
  while (true) {
    QUERNEL_TRY(const bool more, reader.next_element());
    if (!more) return ok_status();
    if (parts.merges.size() >= kMaxMerges) return over_limit(reader, "merges", kMaxMerges);
    QUERNEL_TRY_STATUS(read_merge(reader, parts.merges.emplace_back()));
  }
}

Status read_model(JsonReader& reader, Parts& parts) {
  QUERNEL_TRY_STATUS(reader.begin_object());
  std::string key;
  while (true) {
    QUERNEL_TRY(const bool more, reader.next_key(key));
    if (!more) return ok_status();
    bool* seen = key == "vocab" ? &parts.has_vocab : key == "merges" ? &parts.has_merges : nullptr;
    if ((seen != nullptr && *seen) || parts.model_options.contains(key))
      return reader.error("a key twice in the model");
    QUERNEL_TRY(const JsonKind kind, reader.peek());
    if (key == "vocab" && kind == JsonKind::object) {
      *seen = true;
      QUERNEL_TRY_STATUS(read_vocab(reader, parts));
    } else if (key == "merges" && kind == JsonKind::array) {
      *seen = true;
      QUERNEL_TRY_STATUS(read_merges(reader, parts));
    } else {
      QUERNEL_TRY(parts.model_options[key], capture_value(reader));
    }
  }
}

Result<AddedToken> read_added_token(JsonReader& reader) {
  QUERNEL_TRY(const Json value, capture_value(reader));
  if (!value.is_object()) return reader.error("an added token is not an object");
  const auto read = [&]() -> Result<AddedToken> {
    AddedToken token;
    QUERNEL_TRY(const std::int64_t id, json_int(value, "id"));
    if (id < 0 || id >= static_cast<std::int64_t>(kMaxTokens))
      return reader.error("a token id is out of range").in_field("id");
    token.id = static_cast<std::int32_t>(id);
    QUERNEL_TRY(token.content, json_string(value, "content"));
    QUERNEL_TRY(token.special, json_bool_or(value, "special", false));
    QUERNEL_TRY(token.normalized, json_bool_or(value, "normalized", !token.special));
    QUERNEL_TRY(token.single_word, json_bool_or(value, "single_word", false));
    QUERNEL_TRY(token.strip_left, json_bool_or(value, "lstrip", false));
    QUERNEL_TRY(token.strip_right, json_bool_or(value, "rstrip", false));
    return token;
  };
  auto token = read();
  if (!token.ok()) return std::move(token).error().in_file(reader.file()).at(reader.token_offset());
  if (token->content.empty()) return reader.error("an added token is empty").in_field("content");
  return token;
}

Status read_added_tokens(JsonReader& reader, Parts& parts) {
  QUERNEL_TRY(const JsonKind kind, reader.peek());
  if (kind == JsonKind::null) return reader.read_null();
  QUERNEL_TRY_STATUS(reader.begin_array());
  while (true) {
    QUERNEL_TRY(const bool more, reader.next_element());
    if (!more) return ok_status();
    if (parts.added.size() >= kMaxAddedTokens) return over_limit(reader, "added tokens", kMaxAddedTokens);
    QUERNEL_TRY(AddedToken token, read_added_token(reader));
    parts.added.push_back(std::move(token));
  }
}

Status read_file(JsonReader& reader, Parts& parts) {
  std::unordered_set<std::string> seen;
  const std::pair<std::string_view, Json*> components[] = {{"normalizer", &parts.normalizer},
                                                           {"pre_tokenizer", &parts.pre_tokenizer},
                                                           {"post_processor", &parts.post_processor},
                                                           {"decoder", &parts.decoder}};
  QUERNEL_TRY_STATUS(reader.begin_object());
  std::string key;
  while (true) {
    QUERNEL_TRY(const bool more, reader.next_key(key));
    if (!more) return reader.finish();
    if (!seen.insert(key).second) return reader.error("a key twice in the file").in_field(key);
    const auto* component = std::find_if(std::begin(components), std::end(components),
                                         [&key](const auto& candidate) { return candidate.first == key; });
    if (component != std::end(components)) {
      QUERNEL_TRY(*component->second, capture_value(reader));
    } else if (key == "model") {
      QUERNEL_TRY_STATUS(read_model(reader, parts));
    } else if (key == "added_tokens") {
      QUERNEL_TRY_STATUS(read_added_tokens(reader, parts));
    } else {
      QUERNEL_TRY_STATUS(skip_value(reader));
    }
  }
}

Error model_error(Fault fault, std::string message) { return Error(fault, std::move(message)).in_field("model"); }

// Ids may have gaps, but not so many that the table would be made of them: it is sized by the largest id.
Status place_tokens(Parts& parts, Vocabulary& out) {
  std::size_t count = 0;
  for (const ModelEntry& entry : parts.entries) count = std::max(count, static_cast<std::size_t>(entry.id) + 1);
  for (const AddedToken& token : parts.added) count = std::max(count, static_cast<std::size_t>(token.id) + 1);
  const std::size_t known = parts.entries.size() + parts.added.size();
  if (count > 4 * (known + 1024)) {
    return model_error(Fault::corrupt, "a token id is far beyond the number of tokens")
        .expect(fmt::format("ids near 0 to {}", known), std::to_string(count - 1));
  }
  out.tokens.resize(count);
  for (ModelEntry& entry : parts.entries) {
    std::string& place = out.tokens[static_cast<std::size_t>(entry.id)];
    if (!place.empty()) {
      return model_error(Fault::corrupt, fmt::format("two tokens have the id {}", entry.id))
          .expect(repair_utf8(place).substr(0, 80), repair_utf8(entry.text).substr(0, 80));
    }
    place = std::move(entry.text);
  }
  for (AddedToken& token : parts.added) {
    std::string& place = out.tokens[static_cast<std::size_t>(token.id)];
    token.in_model = !place.empty();
    if (place.empty()) place = token.content;  // another text than the token's is found by Tokenizer::create
  }
  out.added = std::move(parts.added);
  return ok_status();
}

Status read_options(const Json& options, Vocabulary& out) {
  QUERNEL_TRY(const std::string type, json_string_or(options, "type", "BPE"));
  if (type != "BPE") {
    return model_error(Fault::unsupported, fmt::format("model '{}' is not supported", repair_utf8(type).substr(0, 80)))
        .expect("BPE", repair_utf8(type).substr(0, 80));
  }
  for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    QUERNEL_TRY(const std::string text, json_string_or(options, affix, ""));
    if (!text.empty()) return model_error(Fault::unsupported, fmt::format("a BPE model with {}", affix));
  }
  QUERNEL_TRY(const double dropout, json_number_or(options, "dropout", 0));
  if (dropout != 0) return model_error(Fault::unsupported, "a BPE model with dropout gives no fixed ids");
  QUERNEL_TRY(out.ignore_merges, json_bool_or(options, "ignore_merges", false));
  QUERNEL_TRY(out.byte_tokens, json_bool_or(options, "byte_fallback", false));
  QUERNEL_TRY(out.fuse_unknown, json_bool_or(options, "fuse_unk", false));
  QUERNEL_TRY(const std::string unknown, json_string_or(options, "unk_token", ""));
  if (unknown.empty()) return ok_status();
  const auto place = std::find(out.tokens.begin(), out.tokens.end(), unknown);
  if (place == out.tokens.end()) {
    return model_error(Fault::corrupt, "unk_token is not in the vocabulary")
        .expect("a token", repair_utf8(unknown).substr(0, 80));
  }
  out.unk = static_cast<std::int32_t>(place - out.tokens.begin());
  return ok_status();
}

void set_kinds(Vocabulary& vocabulary) {
  vocabulary.kinds.assign(vocabulary.tokens.size(), TokenKind::normal);
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (vocabulary.tokens[id].empty()) vocabulary.kinds[id] = TokenKind::unused;
  }
  for (const AddedToken& token : vocabulary.added) {
    vocabulary.kinds[static_cast<std::size_t>(token.id)] = token.special ? TokenKind::control : TokenKind::user_defined;
  }
  if (vocabulary.unk) vocabulary.kinds[static_cast<std::size_t>(*vocabulary.unk)] = TokenKind::unknown;
}

Result<Vocabulary> assemble(Parts parts) {
  if (!parts.has_vocab) return model_error(Fault::corrupt, "the model has no vocabulary").in_field("model.vocab");
  Vocabulary out;
  QUERNEL_TRY_STATUS(place_tokens(parts, out));
  // An older file of another model has merges as a name or not at all; BPE has them as a list.
  out.model = BpeModel::byte_fallback;
  QUERNEL_TRY_STATUS(read_options(parts.model_options, out));
  if (!parts.has_merges) return model_error(Fault::corrupt, "a BPE model has no merges").in_field("model.merges");
  out.merges = std::move(parts.merges);
  QUERNEL_TRY_STATUS(read_normalizer(parts.normalizer, out));
  QUERNEL_TRY_STATUS(read_pre_tokenizer(parts.pre_tokenizer, out));
  QUERNEL_TRY_STATUS(read_decoder(parts.decoder, out));
  QUERNEL_TRY_STATUS(read_post_processor(parts.post_processor, out));
  set_kinds(out);
  return out;
}

}  // namespace

Result<Vocabulary> parse_tokenizer_json(std::string_view json, const std::string& file) {
  if (json.size() > kMaxJsonBytes) {
    return Error(Fault::limit_exceeded, "tokenizer.json is too large")
        .in_file(file)
        .expect(fmt::format("at most {} bytes", kMaxJsonBytes), std::to_string(json.size()));
  }
  JsonReader reader(json, file);
  Parts parts;
  QUERNEL_TRY_STATUS(read_file(reader, parts));
  auto vocabulary = assemble(std::move(parts));
  if (!vocabulary.ok()) return std::move(vocabulary).error().in_file(file);
  return vocabulary;
}

}  // namespace quernel::text
