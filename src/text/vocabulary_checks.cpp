#include "text/vocabulary_checks.h"

#include <fmt/format.h>

#include "text/limits.h"

namespace quernel::text {
namespace {

Error too_many(const char* field, std::size_t limit, std::size_t found) {
  return Error(Fault::limit_exceeded, fmt::format("too many entries in {}", field))
      .in_field(field)
      .expect(fmt::format("at most {}", limit), std::to_string(found));
}

Error wrong_length(const char* field, std::size_t expected, std::size_t found) {
  return Error(Fault::corrupt, fmt::format("{} does not have an entry for each token", field))
      .in_field(field)
      .expect(std::to_string(expected), std::to_string(found));
}

bool in_range(std::int64_t id, const Vocabulary& vocabulary) {
  return id >= 0 && static_cast<std::uint64_t>(id) < vocabulary.tokens.size();
}

Error out_of_range(std::string field, std::int64_t id, const Vocabulary& vocabulary) {
  return Error(Fault::corrupt, "a token id is outside the vocabulary")
      .in_field(std::move(field))
      .expect(fmt::format("0 to {}", vocabulary.tokens.size() - 1), std::to_string(id));
}

Status check_sizes(const Vocabulary& vocabulary) {
  const std::size_t count = vocabulary.tokens.size();
  if (count == 0) return Error(Fault::corrupt, "the vocabulary is empty").in_field("tokens");
  if (count > kMaxTokens) return too_many("tokens", kMaxTokens, count);
  if (vocabulary.merges.size() > kMaxMerges) return too_many("merges", kMaxMerges, vocabulary.merges.size());
  if (vocabulary.added.size() > kMaxAddedTokens)
    return too_many("added_tokens", kMaxAddedTokens, vocabulary.added.size());
  if (!vocabulary.kinds.empty() && vocabulary.kinds.size() != count) {
    return wrong_length("token types", count, vocabulary.kinds.size());
  }
  if (!vocabulary.scores.empty() && vocabulary.scores.size() != count) {
    return wrong_length("scores", count, vocabulary.scores.size());
  }
  for (std::size_t id = 0; id < count; ++id) {
    if (vocabulary.tokens[id].size() <= kMaxTokenBytes) continue;
    return Error(Fault::limit_exceeded, "a token is too long")
        .in_field(fmt::format("tokens[{}]", id))
        .expect(fmt::format("at most {} bytes", kMaxTokenBytes), std::to_string(vocabulary.tokens[id].size()));
  }
  return ok_status();
}

Status check_added(const Vocabulary& vocabulary) {
  std::vector<bool> seen(vocabulary.tokens.size());
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < vocabulary.added.size(); ++i) {
    const AddedToken& token = vocabulary.added[i];
    const std::string field = fmt::format("added_tokens[{}]", i);
    if (!in_range(token.id, vocabulary)) return out_of_range(field, token.id, vocabulary);
    const auto id = static_cast<std::size_t>(token.id);
    if (token.content.empty()) return Error(Fault::corrupt, "an added token is empty").in_field(field);
    if (token.content.size() > kMaxAddedTokenBytes) {
      return Error(Fault::limit_exceeded, "an added token is too long")
          .in_field(field)
          .expect(fmt::format("at most {} bytes", kMaxAddedTokenBytes), std::to_string(token.content.size()));
    }
    if (seen[id]) return Error(Fault::corrupt, fmt::format("two added tokens have the id {}", id)).in_field(field);
    if (vocabulary.tokens[id] != token.content) {
      return Error(Fault::corrupt, fmt::format("an added token has the id {} of another token", id)).in_field(field);
    }
    seen[id] = true;
    bytes += token.content.size();
  }
  if (bytes > kMaxAddedBytes) return too_many("bytes of added_tokens", kMaxAddedBytes, bytes);
  return ok_status();
}

}  // namespace

Status check_vocabulary(const Vocabulary& vocabulary) {
  QUERNEL_TRY_STATUS(check_sizes(vocabulary));
  QUERNEL_TRY_STATUS(check_added(vocabulary));
  const std::pair<const char*, const std::optional<std::int32_t>&> roles[] = {
      {"bos", vocabulary.bos}, {"eos", vocabulary.eos}, {"unk", vocabulary.unk}, {"pad", vocabulary.pad}};
  for (const auto& [field, id] : roles) {
    if (id && !in_range(*id, vocabulary)) return out_of_range(field, *id, vocabulary);
  }
  for (const auto* ids : {&vocabulary.prefix, &vocabulary.suffix}) {
    for (const std::int32_t id : *ids) {
      if (!in_range(id, vocabulary)) return out_of_range("post_processor", id, vocabulary);
    }
  }
  return ok_status();
}

}  // namespace quernel::text
