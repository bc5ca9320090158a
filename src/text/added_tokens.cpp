#include "text/added_tokens.h"

#include <algorithm>

#include "text/unicode_classes.h"

namespace quernel::text {
namespace {

Char first_char(std::string_view text) { return char_at(CharTable::get(), text.data(), text.data() + text.size()); }

// The last character, and where it begins; text is not empty.
Char last_char(std::string_view text, std::size_t& begin) {
  begin = text.size() - 1;
  while (begin > 0 && text.size() - begin < 4 && detail::is_tail(text[begin])) --begin;
  const Char found = first_char(text.substr(begin));
  if (begin + found.length == text.size()) return found;
  begin = text.size() - 1;
  return {};
}

bool word_before(std::string_view text) {
  std::size_t begin = 0;
  return !text.empty() && last_char(text, begin).is(kWord);
}

bool word_after(std::string_view text) { return !text.empty() && first_char(text).is(kWord); }

// Size of text without the white space at its end.
std::size_t without_space_at_end(std::string_view text) {
  std::size_t begin = 0;
  while (!text.empty() && last_char(text, begin).is(kSpace)) text = text.substr(0, begin);
  return text.size();
}

std::size_t space_at_start(std::string_view text) {
  std::size_t size = 0;
  while (size < text.size()) {
    const Char here = first_char(text.substr(size));
    if (!here.is(kSpace)) break;
    size += here.length;
  }
  return size;
}

}  // namespace

ByteTrie::ByteTrie() : nodes_(1) {}

void ByteTrie::add(std::string_view content, std::uint32_t value) {
  std::uint32_t node = 0;
  for (const char byte : content) {
    std::uint32_t& first = node == 0 ? roots_[static_cast<unsigned char>(byte)] : nodes_[node].child;
    std::uint32_t child = first;
    while (child != 0 && nodes_[child].byte != byte) child = nodes_[child].sibling;
    if (child == 0) {
      const std::uint32_t sibling = first;
      child = static_cast<std::uint32_t>(nodes_.size());
      first = child;  // before push_back, which moves what `first` refers to
      nodes_.push_back({0, sibling, kNone, byte});
    }
    node = child;
  }
  if (nodes_[node].value == kNone) nodes_[node].value = value;
}

ByteTrie::Hit ByteTrie::longest(std::string_view text) const {
  Hit hit;
  std::uint32_t node = roots_[static_cast<unsigned char>(text.front())];
  for (std::size_t depth = 1; node != 0; ++depth) {
    if (nodes_[node].value != kNone) hit = {depth, nodes_[node].value};
    if (depth == text.size()) break;
    node = nodes_[node].child;
    while (node != 0 && nodes_[node].byte != text[depth]) node = nodes_[node].sibling;
  }
  return hit;
}

AddedTokenFinder::AddedTokenFinder(std::vector<AddedToken> tokens, const std::vector<std::string>& contents)
    : tokens_(std::move(tokens)) {
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    if (!contents[i].empty()) trie_.add(contents[i], static_cast<std::uint32_t>(i));
  }
}

AddedTokenFinder::Place AddedTokenFinder::next(std::string_view text, std::size_t at, std::size_t done,
                                               bool find_special) const {
  while (at < text.size()) {
    if (!trie_.may_begin(text[at])) {
      ++at;
      continue;
    }
    const ByteTrie::Hit hit = trie_.longest(text.substr(at));
    if (hit.length == 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[hit.value];
    const std::size_t behind = at + hit.length;
    const bool hidden = token.special && !find_special;
    const bool inside_word = token.single_word && (word_before(text.substr(0, at)) || word_after(text.substr(behind)));
    if (hidden || inside_word) {
      at = behind;
      continue;
    }
    Place place{&token, at, behind, behind};
    if (token.strip_left) {
      const std::size_t from = std::min(done, at);
      place.begin = std::max(from + without_space_at_end(text.substr(from, at - from)), done);
    }
    if (token.strip_right) {
      // White space up to `done` was walked for the token before; not again, or runs of it cost their square.
      place.end = std::max(behind, done);
      place.end += space_at_start(text.substr(place.end));
    }
    return place;
  }
  return {};
}

}  // namespace quernel::text
