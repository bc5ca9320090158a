// Rows of activations in INT8 codes, in one part or in two (kernels/int_rows).
//
// Layout   two parts: row 2 m holds the high part of token m, row 2 m + 1 the low part
// Threads  rows are written by one thread each
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/packed/packed.h"
#include "sys/huge_buffer.h"

namespace quernel::engine {

class RowCodes {
 public:
  // Room for `tokens` rows of up to `width` entries in two parts. Errors: out_of_memory
  static Result<RowCodes> make(std::int64_t tokens, std::int64_t width);

  // What follows has rows of `width` entries, whose sums are kept for every `sum_inputs` (kernels/packed, RowsView).
  void begin(std::int64_t tokens, std::int64_t width, bool two_parts, std::int64_t sum_inputs);
  void put(std::int64_t token, const float* x);
  // The codes of another, begun alike, in another order: entry k is its entry order[k].
  void put_ordered(std::int64_t token, const RowCodes& from, std::span<const std::int32_t> order);

  // What the codes say of one entry.
  [[nodiscard]] float value(std::int64_t token, std::int64_t index) const;

  [[nodiscard]] bool two_parts() const { return two_parts_; }
  [[nodiscard]] std::int64_t tokens() const { return tokens_; }
  [[nodiscard]] kernels::packed::RowsView view() const;

 private:
  void join_sums(std::int64_t row);
  sys::HugeBuffer memory_;
  std::int8_t* codes_ = nullptr;
  float* scales_ = nullptr;
  std::int32_t* sums_ = nullptr;
  std::int32_t* totals_ = nullptr;
  std::int64_t tokens_ = 0;
  std::int64_t width_ = 0;
  std::int64_t stride_ = 0;
  std::int64_t sum_inputs_ = 0;
  bool two_parts_ = false;
};

}  // namespace quernel::engine
