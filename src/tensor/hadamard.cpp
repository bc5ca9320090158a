#include "tensor/hadamard.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/checked.h"

namespace quernel {
namespace {

bool is_prime(std::int64_t n) {
  if (n < 2) return false;
  for (std::int64_t d = 2; d * d <= n; ++d) {
    if (n % d == 0) return false;
  }
  return true;
}

// Quadratic character of the field of q elements: 0 for 0, 1 for squares, -1 for the rest. [q]
std::vector<std::int8_t> quadratic_character(std::int64_t q) {
  std::vector<std::int8_t> character(static_cast<std::size_t>(q), -1);
  character[0] = 0;
  for (std::int64_t x = 1; x < q; ++x) character[static_cast<std::size_t>(x * x % q)] = 1;
  return character;
}

// Paley's conference matrix of order q + 1: zero diagonal, border of ones (its first column negative where q % 4 == 3).
std::vector<std::int8_t> conference_matrix(std::int64_t q) {
  const std::vector<std::int8_t> character = quadratic_character(q);
  const std::int64_t order = q + 1;
  std::vector<std::int8_t> matrix(static_cast<std::size_t>(order * order), 0);
  const auto border = static_cast<std::int8_t>(q % 4 == 3 ? -1 : 1);
  for (std::int64_t i = 0; i < q; ++i) {
    matrix[static_cast<std::size_t>(i + 1)] = 1;
    matrix[static_cast<std::size_t>((i + 1) * order)] = border;
    for (std::int64_t j = 0; j < q; ++j) {
      matrix[static_cast<std::size_t>((i + 1) * order + j + 1)] = character[static_cast<std::size_t>((i - j + q) % q)];
    }
  }
  return matrix;
}

// Construction I: the skew conference matrix plus the identity.
std::vector<std::int8_t> paley_one(std::int64_t order) {
  std::vector<std::int8_t> matrix = conference_matrix(order - 1);
  for (std::int64_t i = 0; i < order; ++i) matrix[static_cast<std::size_t>(i * order + i)] = 1;
  return matrix;
}

// Construction II: in a symmetric conference matrix each 0 becomes [1 -1; -1 -1], each +-1 becomes +-[1 1; 1 -1].
std::vector<std::int8_t> paley_two(std::int64_t order) {
  const std::int64_t half = order / 2;
  const std::vector<std::int8_t> conference = conference_matrix(half - 1);
  std::vector<std::int8_t> matrix(static_cast<std::size_t>(order * order));
  const auto put = [&](std::int64_t row, std::int64_t col, int value) {
    matrix[static_cast<std::size_t>(row * order + col)] = static_cast<std::int8_t>(value);
  };
  for (std::int64_t i = 0; i < half; ++i) {
    for (std::int64_t j = 0; j < half; ++j) {
      const int sign = conference[static_cast<std::size_t>(i * half + j)];
      put(2 * i, 2 * j, sign == 0 ? 1 : sign);
      put(2 * i, 2 * j + 1, sign == 0 ? -1 : sign);
      put(2 * i + 1, 2 * j, sign == 0 ? -1 : sign);
      put(2 * i + 1, 2 * j + 1, sign == 0 ? -1 : -sign);
    }
  }
  return matrix;
}

bool has_paley(std::int64_t order) {
  if (order < 4 || order % 4 != 0) return false;
  const std::int64_t q = order / 2 - 1;
  return is_prime(order - 1) || (q % 4 == 1 && is_prime(q));
}

// The smallest core of a full matrix of this size, or 0: the rest of the size is then a power of two.
std::int64_t core_of(std::int64_t size) {
  std::int64_t odd = size;
  while (odd % 2 == 0) odd /= 2;
  if (odd == 1) return 1;
  for (std::int64_t core = 4 * odd; core <= Hadamard::kMaxCore && size % core == 0; core *= 2) {
    if (has_paley(core)) return core;
  }
  return 0;
}

}  // namespace

std::vector<std::int8_t> paley_hadamard(std::int64_t order) {
  if (order == 1) return {1};
  if (!has_paley(order)) return {};
  return is_prime(order - 1) ? paley_one(order) : paley_two(order);
}

Hadamard::Hadamard(std::int64_t size) : size_(size) {
  QUERNEL_CHECK(size >= 1, "a Hadamard matrix of size {}", size);
  for (std::int64_t blocks = 1;; ++blocks) {
    if (size % blocks != 0 || core_of(size / blocks) == 0) continue;  // blocks == size always has one
    core_size_ = core_of(size / blocks);
    power_ = size / blocks / core_size_;
    break;
  }
  core_ = paley_hadamard(core_size_);
}

template <class T>
void Hadamard::transform_row(T* row, T* scratch, bool transposed) const {
  const std::int64_t block = block_size();
  const T scale = T{1} / static_cast<T>(std::sqrt(static_cast<double>(block)));
  for (T* x = row; x < row + size_; x += block) {
    for (std::int64_t half = 1; half < power_; half *= 2) {
      for (T* pair = x; pair < x + block; pair += 2 * half) {
        for (std::int64_t i = 0; i < half; ++i) {
          const T a = pair[i];
          const T b = pair[half + i];
          pair[i] = a + b;
          pair[half + i] = a - b;
        }
      }
    }
    if (core_size_ == 1) {
      for (std::int64_t i = 0; i < block; ++i) x[i] *= scale;
      continue;
    }
    std::fill(scratch, scratch + block, T{});
    for (std::int64_t i = 0; i < core_size_; ++i) {
      T* to = scratch + i * power_;
      for (std::int64_t j = 0; j < core_size_; ++j) {
        const auto sign =
            static_cast<T>(core_[static_cast<std::size_t>(transposed ? j * core_size_ + i : i * core_size_ + j)]);
        const T* from = x + j * power_;
        for (std::int64_t k = 0; k < power_; ++k) to[k] += sign * from[k];
      }
    }
    for (std::int64_t i = 0; i < block; ++i) x[i] = scratch[i] * scale;
  }
}

template <class T>
void Hadamard::transform_rows(BasicView<T> rows, bool transposed) const {
  QUERNEL_CHECK(rows.cols == size_, "rows of {} for a Hadamard matrix of {}", rows.cols, size_);
  const auto scratch = allocate_aligned<T>(block_size());
  for (std::int64_t i = 0; i < rows.rows; ++i) transform_row(rows.row(i).data(), scratch.get(), transposed);
}

void Hadamard::transform_columns(BasicView<double> columns, bool transposed) const {
  QUERNEL_CHECK(columns.rows == size_, "columns of {} for a Hadamard matrix of {}", columns.rows, size_);
  constexpr std::int64_t kTile = 8;  // columns of one cache line are gathered together
  MatrixF64 tile = MatrixF64::uninitialized(kTile, size_);
  for (std::int64_t first = 0; first < columns.cols; first += kTile) {
    const std::int64_t count = std::min(kTile, columns.cols - first);
    for (std::int64_t row = 0; row < size_; ++row) {
      for (std::int64_t i = 0; i < count; ++i) tile(i, row) = columns(row, first + i);
    }
    transform_rows(tile.view().row_block(0, count), transposed);
    for (std::int64_t row = 0; row < size_; ++row) {
      for (std::int64_t i = 0; i < count; ++i) columns(row, first + i) = tile(i, row);
    }
  }
}

void Hadamard::apply(MatrixView rows) const { transform_rows(rows, false); }
void Hadamard::apply(BasicView<double> rows) const { transform_rows(rows, false); }
void Hadamard::apply_transposed(MatrixView rows) const { transform_rows(rows, true); }
void Hadamard::apply_transposed(BasicView<double> rows) const { transform_rows(rows, true); }
void Hadamard::apply_to_columns(BasicView<double> columns) const { transform_columns(columns, false); }
void Hadamard::apply_transposed_to_columns(BasicView<double> columns) const { transform_columns(columns, true); }

void Hadamard::apply(MatrixView rows, sys::ThreadPool& pool) const {
  constexpr std::int64_t kRowsPerTask = 16;
  pool.parallel_for(ceil_div(rows.rows, kRowsPerTask), [&](std::int64_t task) {
    const std::int64_t first = task * kRowsPerTask;
    apply(rows.row_block(first, std::min(kRowsPerTask, rows.rows - first)));
  });
}

MatrixF64 Hadamard::matrix() const {
  MatrixF64 out(size_, size_);
  const std::int64_t block = block_size();
  const double scale = 1.0 / std::sqrt(static_cast<double>(block));
  for (std::int64_t row = 0; row < size_; ++row) {
    const std::int64_t start = row / block * block;
    for (std::int64_t k = 0; k < block; ++k) {
      const std::int64_t in_block = row - start;
      const int core = core_[static_cast<std::size_t>(in_block / power_ * core_size_ + k / power_)];
      // Sylvester's entry: the parity of the bits both indices share.
      const auto common = static_cast<std::uint64_t>((in_block % power_) & (k % power_));
      const int sign = __builtin_popcountll(common) % 2 == 0 ? core : -core;
      out(row, start + k) = sign * scale;
    }
  }
  return out;
}

}  // namespace quernel
