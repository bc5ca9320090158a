// Byte-pair merging of one piece: the pair of the lowest rank first, the leftmost of equal ones, until none is left.
//
// Cost     n^2 steps up to 64 symbols (cheap ones, no memory), n log n beyond
// Threads  pure function of its table; `scratch` has one owner at a time
#pragma once

#include <cstdint>
#include <vector>

#include "text/merge_table.h"

namespace quernel::text {

class MergeScratch {
 public:
  // Merges symbols[first..] in place and shortens the vector.
  void merge(const MergeTable& table, std::vector<std::int32_t>& symbols, std::size_t first);

 private:
  struct Candidate {
    std::uint32_t rank;
    std::uint32_t at;  // left symbol
    std::int32_t left;
    std::int32_t right;
    std::int32_t result;
  };
  struct Link {
    std::uint32_t previous;
    std::uint32_t next;
  };

  void merge_short(const MergeTable& table, std::vector<std::int32_t>& symbols, std::size_t first);
  void merge_long(const MergeTable& table, std::vector<std::int32_t>& symbols, std::size_t first);
  void offer(const MergeTable& table, const std::int32_t* symbols, std::uint32_t at, std::uint32_t next);

  std::vector<Candidate> heap_;
  std::vector<Link> links_;
};

}  // namespace quernel::text
