// Added tokens cut out of a text: the leftmost, at equal start the longest.
//
// Exact    the pieces that the `tokenizers` package makes, white space and word rules included
// Cost     text x the longest added token at worst (limits.h); one table look-up a byte where none begins
// Threads  const functions from any thread
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/vocabulary.h"

namespace quernel::text {

// Contents of tokens as a tree by bytes.
class ByteTrie {
 public:
  ByteTrie();
  void add(std::string_view content, std::uint32_t value);  // not empty; the first value of a content stays
  struct Hit {
    std::size_t length = 0;  // 0: nothing
    std::uint32_t value = 0;
  };
  [[nodiscard]] Hit longest(std::string_view text) const;  // at the start of text
  [[nodiscard]] bool may_begin(char byte) const { return roots_[static_cast<unsigned char>(byte)] != 0; }

 private:
  static constexpr std::uint32_t kNone = 0xFFFFFFFFU;
  struct Node {
    std::uint32_t child = 0;  // 0: none; nodes_[0] stands for no node
    std::uint32_t sibling = 0;
    std::uint32_t value = kNone;
    char byte = 0;
  };
  std::vector<Node> nodes_;
  std::array<std::uint32_t, 256> roots_{};
};

class AddedTokenFinder {
 public:
  // `contents` are what is looked for, one for each token (the content, or its normalized form).
  AddedTokenFinder(std::vector<AddedToken> tokens, const std::vector<std::string>& contents);

  // Calls text(piece) for what lies between tokens and token(id) for each, in order. Special tokens are text unless
  // find_special. Text pieces are not empty.
  template <class Text, class Token>
  void split(std::string_view text, bool find_special, Text&& on_text, Token&& on_token) const {
    std::size_t done = 0;  // may run ahead of the next match, where a token took white space that another begins with
    for (std::size_t at = 0; at < text.size();) {
      const Place place = next(text, at, done, find_special);
      if (place.token == nullptr) break;
      at = place.resume;
      // All of it went to the token before: the reference makes an empty piece of it, and drops that.
      if (place.begin >= place.end) continue;
      if (done < place.begin) on_text(text.substr(done, place.begin - done));
      on_token(place.token->id);
      done = place.end;
    }
    if (done < text.size()) on_text(text.substr(done));
  }

 private:
  struct Place {
    const AddedToken* token = nullptr;
    std::size_t begin = 0;  // with the white space taken
    std::size_t end = 0;
    std::size_t resume = 0;  // where the search goes on: behind the content
  };
  [[nodiscard]] Place next(std::string_view text, std::size_t at, std::size_t done, bool find_special) const;

  std::vector<AddedToken> tokens_;
  ByteTrie trie_;
};

}  // namespace quernel::text
