// The word that a mistyped one probably meant.
//
// Threads  pure functions
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace quernel {

// Insertions, deletions and replacements of one byte that turn a into b (Levenshtein).
std::size_t edit_distance(std::string_view a, std::string_view b);

// The candidate with the smallest distance, the first of equals; empty where more than half of the typed word would change.
std::string nearest_word(std::span<const std::string> candidates, std::string_view typed);

}  // namespace quernel
