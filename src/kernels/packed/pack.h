// Packs quantized matrices for packed.h, losslessly: unpack_code and unpack_value give back what went in.
//
// Takes    2, 3, 4 and 8 bits; groups of 16, 32, of a multiple of 64, or one a row, in column order
// Memory   a slice of the arena; null: of its own
// Errors   unsupported: other group sizes, act-order, more than kMaxInputs inputs; out_of_memory
// Threads  rows of panels are packed by the pool
#pragma once

#include <cstdint>
#include <span>

#include "base/result.h"
#include "codec/integer_matrix.h"
#include "kernels/packed/packed.h"
#include "sys/huge_arena.h"
#include "sys/thread_pool.h"
#include "tensor/matrix.h"

namespace quernel::kernels::packed {

// A packed weight with its memory.
class PackedWeight {
 public:
  PackedWeight() = default;
  // Zeroed, of the kinds and sizes in `shape` (its pointers are ignored). Errors: as above.
  static Result<PackedWeight> make(const WeightView& shape, sys::HugeArena* arena = nullptr);
  // How many bytes such a weight takes, codes first. Errors: unsupported.
  static Result<std::uint64_t> bytes_of(const WeightView& shape);
  // Over bytes that a weight of this shape had (bytes_of(shape)). Errors: unsupported.
  static Result<PackedWeight> over(const WeightView& shape, sys::HugeSlice memory);

  [[nodiscard]] const WeightView& view() const { return view_; }
  [[nodiscard]] std::uint64_t bytes() const { return memory_.size; }
  [[nodiscard]] std::span<const std::byte> memory() const { return {memory_.data, memory_.size}; }
  [[nodiscard]] std::uint8_t* codes() { return const_cast<std::uint8_t*>(view_.code_bytes); }
  [[nodiscard]] std::uint8_t* params() { return const_cast<std::uint8_t*>(view_.param_bytes); }
  [[nodiscard]] float* row_scales() { return const_cast<float*>(view_.row_scales); }

 private:
  WeightView view_;
  sys::HugeSlice memory_;
};

// Errors of pack() for such a matrix without packing it.
Status check_packable(const codec::IntegerMatrix& matrix);
Result<PackedWeight> pack(const codec::IntegerMatrix& matrix, sys::ThreadPool& pool, sys::HugeArena* arena = nullptr);

// Row `row` of a zeroed weight: one byte a code into its place. codes [cols], of a table the indices.
void put_row_codes(PackedWeight& weight, std::int64_t row, const std::uint8_t* codes);

// What the formulas of packed.h multiply: the value of one weight.
float unpack_value(const WeightView& weight, std::int64_t row, std::int64_t col);

}  // namespace quernel::kernels::packed
