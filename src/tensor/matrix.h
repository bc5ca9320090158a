// Dense row-major float matrices: an owner, and views of rows x cols with a row stride.
//
// Layout   element (r, c) at data[r * stride + c]; stride >= cols, in elements; owners have stride == cols, 64-byte aligned
// Threads  values; views do not own
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <type_traits>

#include "base/check.h"

namespace quernel {

template <class T>
struct BasicView {
  T* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t stride = 0;

  BasicView() = default;
  BasicView(T* data_in, std::int64_t rows_in, std::int64_t cols_in) : BasicView(data_in, rows_in, cols_in, cols_in) {}
  BasicView(T* data_in, std::int64_t rows_in, std::int64_t cols_in, std::int64_t stride_in)
      : data(data_in), rows(rows_in), cols(cols_in), stride(stride_in) {}
  // A view of const elements from a view of mutable ones.
  template <class U>
    requires(!std::is_same_v<U, T> && std::is_convertible_v<U*, T*>)
  BasicView(const BasicView<U>& other)  // NOLINT(google-explicit-constructor)
      : BasicView(other.data, other.rows, other.cols, other.stride) {}

  [[nodiscard]] T& operator()(std::int64_t row, std::int64_t col) const { return data[row * stride + col]; }
  [[nodiscard]] std::span<T> row(std::int64_t index) const {
    return {data + index * stride, static_cast<std::size_t>(cols)};
  }
  [[nodiscard]] BasicView block(std::int64_t first_row, std::int64_t num_rows, std::int64_t first_col,
                                std::int64_t num_cols) const {
    QUERNEL_CHECK(first_row >= 0 && num_rows >= 0 && first_row + num_rows <= rows, "rows of a block");
    QUERNEL_CHECK(first_col >= 0 && num_cols >= 0 && first_col + num_cols <= cols, "columns of a block");
    return {data + first_row * stride + first_col, num_rows, num_cols, stride};
  }
  [[nodiscard]] BasicView row_block(std::int64_t first_row, std::int64_t num_rows) const {
    return block(first_row, num_rows, 0, cols);
  }
};

using MatrixView = BasicView<float>;
using ConstMatrixView = BasicView<const float>;

// Memory aligned to a cache line; contents are not initialised.
struct AlignedFree {
  void operator()(void* pointer) const { std::free(pointer); }
};
template <class T>
std::unique_ptr<T[], AlignedFree> allocate_aligned(std::int64_t count) {
  QUERNEL_CHECK(count >= 0);
  constexpr std::size_t kAlignment = 64;  // one cache line, one AVX-512 register
  const std::size_t bytes = (static_cast<std::size_t>(count) * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
  void* pointer = std::aligned_alloc(kAlignment, bytes == 0 ? kAlignment : bytes);
  if (pointer == nullptr) throw std::bad_alloc();
  return std::unique_ptr<T[], AlignedFree>(static_cast<T*>(pointer));
}

template <class T>
class BasicMatrix {
 public:
  BasicMatrix() = default;
  BasicMatrix(std::int64_t rows, std::int64_t cols)
      : rows_(rows), cols_(cols), data_(allocate_aligned<T>(rows * cols)) {
    fill(T{});
  }
  // For buffers that are written whole before they are read.
  static BasicMatrix uninitialized(std::int64_t rows, std::int64_t cols) {
    BasicMatrix matrix;
    matrix.rows_ = rows;
    matrix.cols_ = cols;
    matrix.data_ = allocate_aligned<T>(rows * cols);
    return matrix;
  }
  // Copies are named, so that their cost is seen.
  [[nodiscard]] BasicMatrix clone() const {
    BasicMatrix copy = uninitialized(rows_, cols_);
    std::copy(data(), data() + size(), copy.data());
    return copy;
  }

  [[nodiscard]] T* data() { return data_.get(); }
  [[nodiscard]] const T* data() const { return data_.get(); }
  [[nodiscard]] std::int64_t rows() const { return rows_; }
  [[nodiscard]] std::int64_t cols() const { return cols_; }
  [[nodiscard]] std::int64_t size() const { return rows_ * cols_; }
  [[nodiscard]] bool empty() const { return size() == 0; }
  [[nodiscard]] T& operator()(std::int64_t row, std::int64_t col) { return data_[row * cols_ + col]; }
  [[nodiscard]] const T& operator()(std::int64_t row, std::int64_t col) const { return data_[row * cols_ + col]; }
  [[nodiscard]] std::span<T> row(std::int64_t index) { return view().row(index); }
  [[nodiscard]] std::span<const T> row(std::int64_t index) const { return view().row(index); }
  [[nodiscard]] BasicView<T> view() { return {data(), rows_, cols_}; }
  [[nodiscard]] BasicView<const T> view() const { return {data(), rows_, cols_}; }
  operator BasicView<T>() { return view(); }              // NOLINT(google-explicit-constructor)
  operator BasicView<const T>() const { return view(); }  // NOLINT(google-explicit-constructor)
  void fill(T value) { std::fill(data(), data() + size(), value); }

 private:
  std::int64_t rows_ = 0;
  std::int64_t cols_ = 0;
  std::unique_ptr<T[], AlignedFree> data_;
};

using Matrix = BasicMatrix<float>;
using MatrixF64 = BasicMatrix<double>;

}  // namespace quernel
