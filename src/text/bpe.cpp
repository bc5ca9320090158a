#include "text/bpe.h"

#include <fmt/format.h>

#include <algorithm>

#include "text/byte_alphabet.h"
#include "text/utf8.h"

namespace quernel::text {
namespace {

constexpr std::uint32_t kNearCodes = 0x10000;

// Ids that text can become: all but added tokens outside the model.
Result<TokenIndex> make_index(const Vocabulary& vocabulary) {
  std::vector<bool> skip(vocabulary.tokens.size());
  for (const AddedToken& token : vocabulary.added) {
    if (!token.in_model) skip[static_cast<std::size_t>(token.id)] = true;
  }
  TokenIndex index(vocabulary.tokens, vocabulary.tokens.size());
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (skip[id] || vocabulary.tokens[id].empty()) continue;
    const bool unused = !vocabulary.kinds.empty() && vocabulary.kinds[id] == TokenKind::unused;
    if (!index.insert(static_cast<std::int32_t>(id)) && !unused) {
      return Error(Fault::corrupt, "two tokens have the same text")
          .in_field(fmt::format("tokens[{}]", id))
          .expect("a text of its own", fmt::format("that of token {}", *index.find(vocabulary.tokens[id])));
    }
  }
  return index;
}

}  // namespace

Bpe::Bpe(const Vocabulary& vocabulary, TokenIndex index, MergeTable merges)
    : model_(vocabulary.model),
      ignore_merges_(vocabulary.ignore_merges),
      fuse_unknown_(vocabulary.fuse_unknown),
      unknown_(vocabulary.unk),
      token_count_(static_cast<std::int32_t>(vocabulary.tokens.size())),
      index_(std::move(index)),
      merges_(std::move(merges)) {
  byte_ids_.fill(kNone);
}

Result<Bpe> Bpe::create(const Vocabulary& vocabulary) {
  QUERNEL_TRY(TokenIndex index, make_index(vocabulary));
  const bool by_score = vocabulary.merges.empty() && !vocabulary.scores.empty();
  std::vector<std::string> inner;
  QUERNEL_TRY(MergeTable merges, by_score ? MergeTable::from_scores(vocabulary.tokens, vocabulary.scores, index, inner)
                                          : MergeTable::from_merges(vocabulary.merges, index));
  Bpe bpe(vocabulary, std::move(index), std::move(merges));
  if (vocabulary.model == BpeModel::byte_level) {
    QUERNEL_TRY_STATUS(bpe.set_bytes(vocabulary));
  } else {
    bpe.set_characters(vocabulary, inner);
    bpe.set_cuts(vocabulary, inner);
  }
  bpe.inner_ = std::move(inner);
  return bpe;
}

Status Bpe::set_bytes(const Vocabulary& vocabulary) {
  bool any = false;
  for (std::size_t byte = 0; byte < byte_ids_.size(); ++byte) {
    std::string character;
    append_utf8(character, alphabet_char(static_cast<std::uint8_t>(byte)));
    byte_ids_[byte] = index_.find(character).value_or(kNone);
    any = any || byte_ids_[byte] != kNone;
  }
  if (!any) return Error(Fault::corrupt, "a byte-level vocabulary without a token for any single byte");
  if (!ignore_merges_) return ok_status();
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string& token = vocabulary.tokens[id];
    if (token.empty() || index_.find(token) != static_cast<std::int32_t>(id)) continue;
    auto bytes = from_alphabet(token);
    if (bytes) whole_pieces_.emplace(std::move(*bytes), static_cast<std::int32_t>(id));
  }
  return ok_status();
}

void Bpe::set_characters(const Vocabulary& vocabulary, const std::vector<std::string>& inner) {
  char_ids_.assign(kNearCodes, kNone);
  const auto learn = [this](std::string_view text, std::int32_t id) {
    if (text.empty()) return;
    const Decoded first = decode_utf8(text.data(), text.data() + text.size());
    if (!first.valid() || first.length != text.size()) return;
    std::int32_t& slot = first.code < kNearCodes ? char_ids_[first.code] : far_char_ids_[first.code];
    slot = id;
  };
  for (std::int32_t id = 0; id < token_count_; ++id) {
    const std::string& token = vocabulary.tokens[static_cast<std::size_t>(id)];
    if (!token.empty() && index_.find(token) == id) learn(token, id);
  }
  for (std::size_t i = 0; i < inner.size(); ++i) learn(inner[i], token_count_ + static_cast<std::int32_t>(i));
  if (!vocabulary.byte_tokens) return;
  for (std::size_t byte = 0; byte < byte_ids_.size(); ++byte) {
    byte_ids_[byte] = index_.find(byte_token(static_cast<std::uint8_t>(byte))).value_or(kNone);
  }
}

// Two characters that both have ids and that stand side by side in no merged token never become parts of one symbol:
// the text can be cut between them. Merges that join byte tokens or unknown tokens would break that, so they switch it
// off.
void Bpe::set_cuts(const Vocabulary& vocabulary, const std::vector<std::string>& inner) {
  may_cut_ = true;
  merges_.for_each([&](std::int32_t left, std::int32_t right, const Merge& merge) {
    forbid_cuts_in(vocabulary.tokens[static_cast<std::size_t>(merge.result)]);
    for (const std::int32_t part : {left, right}) {
      const auto at = static_cast<std::size_t>(part);
      const std::string& text = part < token_count_ ? vocabulary.tokens[at] : inner[at - vocabulary.tokens.size()];
      if (part == unknown_ || byte_token_value(text)) may_cut_ = false;
    }
  });
}

void Bpe::forbid_cuts_in(std::string_view token) {
  const char* at = token.data();
  const char* end = at + token.size();
  std::uint32_t before = kInvalidCodePoint;
  while (at < end) {
    const Decoded here = decode_utf8(at, end);
    if (before != kInvalidCodePoint && here.valid()) {
      if (before < 128 && here.code < 128) {
        joined_ascii_[before * 128 + here.code] = true;
      } else {
        joined_.insert(static_cast<std::uint64_t>(before) << 32U | here.code);
      }
    }
    before = here.code;
    at += here.length;
  }
}

std::optional<std::int32_t> Bpe::whole(std::string_view piece) const {
  if (!ignore_merges_) return std::nullopt;
  if (model_ == BpeModel::byte_fallback) return index_.find(piece);
  const auto found = whole_pieces_.find(piece);
  if (found == whole_pieces_.end()) return std::nullopt;
  return found->second;
}

std::int32_t Bpe::char_id(std::string_view character, std::uint32_t code) const {
  if (code < kNearCodes) return char_ids_[code];
  if (code == kInvalidCodePoint) return index_.find(character).value_or(kNone);
  const auto found = far_char_ids_.find(code);
  return found == far_char_ids_.end() ? kNone : found->second;
}

std::size_t Bpe::independent_part(std::string_view piece) const {
  if (!may_cut_) return piece.size();
  const char* begin = piece.data();
  const char* end = begin + piece.size();
  const char* at = begin;
  std::uint32_t before = kInvalidCodePoint;  // the character before, if it has an id
  while (at < end) {
    const Decoded here = decode_utf8(at, end);
    const bool known = here.valid() && char_id({at, here.length}, here.code) != kNone;
    if (known && before != kInvalidCodePoint) {
      const bool joined = before < 128 && here.code < 128
                              ? joined_ascii_[before * 128 + here.code]
                              : joined_.contains(static_cast<std::uint64_t>(before) << 32U | here.code);
      if (!joined) break;
    }
    before = known ? here.code : kInvalidCodePoint;
    at += here.length;
  }
  return static_cast<std::size_t>(at - begin);
}

void Bpe::encode(std::string_view piece, Workspace& work, std::vector<std::int32_t>& out) const {
  if (model_ == BpeModel::byte_level) return encode_part(piece, work, out);
  if (const auto id = whole(piece); id) {
    out.push_back(*id);
    return;
  }
  while (!piece.empty()) {
    const std::size_t size = independent_part(piece);
    encode_part(piece.substr(0, size), work, out);
    piece.remove_prefix(size);
  }
}

void Bpe::encode_part(std::string_view part, Workspace& work, std::vector<std::int32_t>& out) const {
  const bool cached = part.size() <= PieceCache::kMaxPieceBytes;
  const std::uint64_t hash = cached ? hash_bytes(part) : 0;
  if (cached) {
    if (const auto known = work.cache.find(part, hash); !known.empty()) {
      out.insert(out.end(), known.begin(), known.end());
      return;
    }
  }
  const std::size_t first = out.size();
  if (model_ == BpeModel::byte_fallback) {
    first_characters(part, out);
    work.scratch.merge(merges_, out, first);
    if (!inner_.empty()) replace_inner(first, out);
  } else if (const auto id = whole(part); id) {
    out.push_back(*id);
  } else {
    first_bytes(part, out);
    work.scratch.merge(merges_, out, first);
  }
  if (cached && out.size() > first) work.cache.insert(part, hash, std::span(out).subspan(first));
}

void Bpe::first_bytes(std::string_view part, std::vector<std::int32_t>& out) const {
  bool after_unknown = false;
  for (const char byte : part) {
    const std::int32_t id = byte_ids_[static_cast<std::uint8_t>(byte)];
    const bool known = id != kNone;
    if (known) {
      out.push_back(id);
    } else if (unknown_ && !(fuse_unknown_ && after_unknown)) {
      out.push_back(*unknown_);
    }
    after_unknown = !known;
  }
}

bool Bpe::byte_tokens_of(std::string_view bytes, std::vector<std::int32_t>& out) const {
  const auto id_of = [this](char byte) { return byte_ids_[static_cast<std::uint8_t>(byte)]; };
  if (!std::all_of(bytes.begin(), bytes.end(), [&](char byte) { return id_of(byte) != kNone; })) return false;
  for (const char byte : bytes) out.push_back(id_of(byte));
  return true;
}

void Bpe::first_characters(std::string_view part, std::vector<std::int32_t>& out) const {
  bool unknown_waits = false;  // the reference writes an unknown token when the next one is known, bytes come before it
  const auto flush = [&] {
    if (unknown_waits) out.push_back(*unknown_);
    unknown_waits = false;
  };
  const char* at = part.data();
  const char* end = at + part.size();
  while (at < end) {
    const Decoded here = decode_utf8(at, end);
    const std::string_view character(at, here.length);
    at += here.length;
    if (const std::int32_t id = char_id(character, here.code); id != kNone) {
      flush();
      out.push_back(id);
    } else if (!byte_tokens_of(character, out) && unknown_) {
      if (!fuse_unknown_) flush();
      unknown_waits = true;
    }
  }
  flush();
}

// Characters without a token of their own that took part in no merge fall back to bytes.
void Bpe::replace_inner(std::size_t first, std::vector<std::int32_t>& out) const {
  const auto is_inner = [this](std::int32_t id) { return id >= token_count_; };
  const auto begin = out.begin() + static_cast<std::ptrdiff_t>(first);
  if (std::none_of(begin, out.end(), is_inner)) return;
  const std::vector<std::int32_t> merged(begin, out.end());
  out.resize(first);
  for (const std::int32_t id : merged) {
    if (!is_inner(id)) {
      out.push_back(id);
    } else if (!byte_tokens_of(inner_[static_cast<std::size_t>(id - token_count_)], out) && unknown_) {
      out.push_back(*unknown_);
    }
  }
}

}  // namespace quernel::text
