// Orthonormal Hadamard matrices of many sizes, and their fast transform.
//
// Sizes    n = core * 2^k, core = 1 (Sylvester) or 12, 20, 28, 36, 44, 60, 68, 76 ... up to kMaxCore: every order Paley's two
//          constructions give over a prime field. Where n has no such form, the matrix is block-diagonal: n / b equal blocks of
//          the largest order b that divides n (for odd n: b = 1, the identity)
// Formula  H = diag of (C (x) S) / sqrt(b), C [core, core] and S [2^k, 2^k] of entries +1, -1; H H^T = I. H is symmetric where
//          core is 1, 28, 36 ...; in general it is not, so both directions are offered
// Exact    sums in T, scaled once at the end; a row depends on itself alone, not on threads. Entries of the matrix form are
//          +-1 / sqrt(b) or 0
// Cost     n * (core + k) additions a row; one buffer of n values a call
// Errors   sizes below 1 are our bug
// Threads  const functions from any thread
// Source   Sylvester 1867; Paley 1933 (constructions I and II); order of factors as in QuaRot, arXiv 2404.00456
#pragma once

#include <cstdint>
#include <vector>

#include "sys/thread_pool.h"
#include "tensor/matrix.h"

namespace quernel {

class Hadamard {
 public:
  static constexpr std::int64_t kMaxCore = 256;  // a dense core beyond this would cost more than it mixes

  explicit Hadamard(std::int64_t size);

  [[nodiscard]] std::int64_t size() const { return size_; }
  [[nodiscard]] std::int64_t block_size() const { return core_size_ * power_; }
  [[nodiscard]] std::int64_t core_size() const { return core_size_; }
  [[nodiscard]] std::int64_t power() const { return power_; }
  [[nodiscard]] const std::vector<std::int8_t>& core_signs() const { return core_; }  // [core_size, core_size]
  // Whether one matrix mixes all entries; else it works on blocks.
  [[nodiscard]] bool is_full() const { return block_size() == size_; }

  // Every row x of rows [any, size] becomes H x: rows <- rows H^T.
  void apply(MatrixView rows) const;
  void apply(BasicView<double> rows) const;
  void apply(MatrixView rows, sys::ThreadPool& pool) const;
  // Every row x becomes H^T x, which undoes apply(): rows <- rows H.
  void apply_transposed(MatrixView rows) const;
  void apply_transposed(BasicView<double> rows) const;

  // Every column x of columns [size, any] becomes H x (H^T x): columns <- H columns (H^T columns).
  void apply_to_columns(BasicView<double> columns) const;
  void apply_transposed_to_columns(BasicView<double> columns) const;

  // H itself, for checking. [size, size]
  [[nodiscard]] MatrixF64 matrix() const;

 private:
  template <class T>
  void transform_row(T* row, T* scratch, bool transposed) const;
  template <class T>
  void transform_rows(BasicView<T> rows, bool transposed) const;
  void transform_columns(BasicView<double> columns, bool transposed) const;

  std::int64_t size_ = 0;
  std::int64_t core_size_ = 1;
  std::int64_t power_ = 1;         // 2^k
  std::vector<std::int8_t> core_;  // [core_size, core_size] of +1 and -1
};

// The signs of a Hadamard matrix of this order, or nothing where Paley's constructions over primes do not give one.
// [order, order] of +1 and -1, row-major
std::vector<std::int8_t> paley_hadamard(std::int64_t order);

}  // namespace quernel
