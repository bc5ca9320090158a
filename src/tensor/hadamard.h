// Hadamard transforms of rows: x <- x H / sqrt(block), H with entries +1 and -1 and H H^T = block I.
//
// Sizes    n = K 2^m gets H = C_K (x) S_m: S_m of Sylvester's doubling, C_K the smallest core of K = odd * 4, odd * 8, ... that
//          Paley's constructions give (12, 20, 28, 36, 44, 52, 60, 68, 76, 84, 100, 108, 140, 148, 344, ...). Where there is none
//          (92, 116, 156, odd sizes) the transform is block diagonal: blocks of the largest power of two that divides n. It is
//          orthogonal for every n.
// Cost     n (m + K) additions a row
// Exact    sums in the row's own type in a fixed order; entries of the core are exact
// Source   Paley, "On orthogonal matrices", 1933: I for K - 1 = q = 3 mod 4, II for K / 2 - 1 = q = 1 mod 4, q a prime power
// Threads  values; const functions from any thread
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "tensor/matrix.h"

namespace quernel {

// Square matrix of +1 and -1, row-major.
struct HadamardCore {
  std::int64_t order = 1;
  std::vector<std::int8_t> signs{1};
};

// A Hadamard matrix of this order by one of Paley's constructions; nothing where neither applies. order 1 and 2 exist.
std::optional<HadamardCore> paley_hadamard(std::int64_t order);

class Hadamard {
 public:
  explicit Hadamard(std::int64_t size);  // 1 or more

  [[nodiscard]] std::int64_t size() const { return size_; }
  [[nodiscard]] std::int64_t block() const { return core_.order * power_; }  // size(), or the size of the diagonal blocks

  void apply(std::span<double> row) const;  // row <- row H / sqrt(block)
  void apply(std::span<float> row) const;
  void apply_inverse(std::span<double> row) const;  // row <- row H^T / sqrt(block)
  void apply_inverse(std::span<float> row) const;

 private:
  std::int64_t size_ = 1;
  std::int64_t power_ = 1;  // 2^m
  HadamardCore core_;
  HadamardCore transposed_;
};

}  // namespace quernel
