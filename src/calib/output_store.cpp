#include "calib/output_store.h"

#include <algorithm>
#include <span>

#include "base/checked.h"
#include "calib/for_rows.h"
#include "tensor/half.h"

namespace quernel::calib {
namespace {

// Row `row` of width `width`, as 16-bit or 32-bit values.
template <class T>
std::span<T> stored_row(const HiddenStore& memory, std::int64_t row, std::int64_t width) {
  auto* values = reinterpret_cast<T*>(memory.row_block(0, memory.rows()).data);
  return {values + row * width, static_cast<std::size_t>(width)};
}

}  // namespace

Result<OutputStore> OutputStore::create(std::int64_t rows, std::int64_t widest, bool bf16) {
  OutputStore store;
  store.bf16_ = bf16;
  QUERNEL_TRY(store.memory_,
              HiddenStore::create(rows, bf16 ? ceil_div<std::int64_t>(widest, 2) : widest, std::nullopt));
  return store;
}

void OutputStore::keep(std::int64_t first_row, ConstMatrixView x, sys::ThreadPool& pool) {
  for_rows(x.rows, pool, [&](std::int64_t row) {
    if (bf16_) {
      float_to_bf16(x.row(row), stored_row<std::uint16_t>(memory_, first_row + row, x.cols));
    } else {
      std::copy(x.row(row).begin(), x.row(row).end(), stored_row<float>(memory_, first_row + row, x.cols).begin());
    }
  });
}

void OutputStore::read(std::int64_t first_row, MatrixView out, sys::ThreadPool& pool) const {
  for_rows(out.rows, pool, [&](std::int64_t row) {
    if (bf16_) {
      bf16_to_float(stored_row<std::uint16_t>(memory_, first_row + row, out.cols), out.row(row));
    } else {
      const auto from = stored_row<float>(memory_, first_row + row, out.cols);
      std::copy(from.begin(), from.end(), out.row(row).begin());
    }
  });
}

}  // namespace quernel::calib
