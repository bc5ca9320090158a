// A piece of text -> ids: first symbols, then merging.
//
// byte_level     first symbols are the tokens of single bytes
// byte_fallback  first symbols are the tokens of characters; others become <0xNN> tokens where all of theirs exist,
//                else the unknown token, else nothing. A long text is cut where no merge can reach across, which
//                changes no id and lets the cache work on texts that nothing else cuts
// Errors         create: corrupt (merges and scores as in merge_table.h, tokens named twice, no byte tokens)
// Threads        const functions from any thread; a workspace has one owner at a time
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "text/hashing.h"
#include "text/merge_piece.h"
#include "text/merge_table.h"
#include "text/piece_cache.h"
#include "text/token_index.h"
#include "text/vocabulary.h"

namespace quernel::text {

class Bpe {
 public:
  struct Workspace {
    PieceCache cache;
    MergeScratch scratch;
  };

  // `vocabulary` outlives the result and does not move.
  static Result<Bpe> create(const Vocabulary& vocabulary);

  void encode(std::string_view piece, Workspace& work, std::vector<std::int32_t>& out) const;

 private:
  Bpe(const Vocabulary& vocabulary, TokenIndex index, MergeTable merges);

  Status set_bytes(const Vocabulary& vocabulary);
  void set_characters(const Vocabulary& vocabulary, const std::vector<std::string>& inner);
  void set_cuts(const Vocabulary& vocabulary, const std::vector<std::string>& inner);
  void forbid_cuts_in(std::string_view token);

  [[nodiscard]] std::optional<std::int32_t> whole(std::string_view piece) const;
  [[nodiscard]] std::int32_t char_id(std::string_view character, std::uint32_t code) const;
  // Bytes of the first part of `piece` that no merge leaves.
  [[nodiscard]] std::size_t independent_part(std::string_view piece) const;
  void encode_part(std::string_view part, Workspace& work, std::vector<std::int32_t>& out) const;
  void first_bytes(std::string_view part, std::vector<std::int32_t>& out) const;
  void first_characters(std::string_view part, std::vector<std::int32_t>& out) const;
  bool byte_tokens_of(std::string_view bytes, std::vector<std::int32_t>& out) const;
  void replace_inner(std::size_t first, std::vector<std::int32_t>& out) const;

  static constexpr std::int32_t kNone = -1;

  BpeModel model_;
  bool ignore_merges_;
  bool fuse_unknown_;
  std::optional<std::int32_t> unknown_;
  std::int32_t token_count_;
  TokenIndex index_;
  MergeTable merges_;
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return static_cast<std::size_t>(hash_bytes(text)); }
  };
  // For byte_level with ignore_merges: tokens by their bytes.
  std::unordered_map<std::string, std::int32_t, Hash, std::equal_to<>> whole_pieces_;
  std::array<std::int32_t, 256> byte_ids_{};  // byte_level: tokens of bytes; else <0xNN> tokens
  std::vector<std::int32_t> char_ids_;        // by code point below 0x10000
  std::unordered_map<std::uint32_t, std::int32_t> far_char_ids_;
  std::vector<std::string> inner_;  // characters with ids from token_count_ on

  bool may_cut_ = false;
  std::array<bool, 128 * 128> joined_ascii_{};  // [first * 128 + second]: some merge joins them
  std::unordered_set<std::uint64_t> joined_;    // first << 32 | second, all others
};

}  // namespace quernel::text
