#include "engine/row_codes.h"

#include <algorithm>
#include <numeric>

#include "base/checked.h"
#include "kernels/int_rows/table.h"

namespace quernel::engine {
namespace {

std::int64_t stride_of(std::int64_t width) {
  return ceil_div(width, kernels::packed::kTileInputs) * kernels::packed::kTileInputs;
}

}  // namespace

Result<RowCodes> RowCodes::make(std::int64_t tokens, std::int64_t width) {
  RowCodes rows;
  const std::int64_t codes = 2 * tokens * stride_of(width);
  const std::int64_t sums = codes / kernels::packed::kSumInputs;
  QUERNEL_TRY(rows.memory_, sys::HugeBuffer::make(static_cast<std::uint64_t>(codes + 4 * sums + 16 * tokens)));
  auto* start = reinterpret_cast<std::int8_t*>(rows.memory_.data());
  rows.codes_ = start;
  rows.sums_ = reinterpret_cast<std::int32_t*>(start + codes);
  rows.scales_ = reinterpret_cast<float*>(start + codes + 4 * sums);
  rows.totals_ = reinterpret_cast<std::int32_t*>(rows.scales_ + 2 * tokens);
  return rows;
}

void RowCodes::begin(std::int64_t tokens, std::int64_t width, bool two_parts, std::int64_t sum_inputs) {
  tokens_ = tokens;
  width_ = width;
  stride_ = stride_of(width);
  two_parts_ = two_parts;
  sum_inputs_ = sum_inputs;
}

void RowCodes::put(std::int64_t token, const float* x) {
  const auto row = [&](std::int64_t index) {
    return kernels::int_rows::Row{codes_ + index * stride_, sums_ + index * (stride_ / kernels::packed::kSumInputs),
                                  scales_ + index};
  };
  const kernels::int_rows::Functions& functions = kernels::int_rows::functions();
  if (two_parts_)
    functions.split(x, width_, stride_, row(2 * token), row(2 * token + 1));
  else
    functions.quantize(x, width_, stride_, row(token));
  const std::int64_t first = two_parts_ ? 2 * token : token;
  join_sums(first);
  if (two_parts_) join_sums(first + 1);
}

void RowCodes::put_ordered(std::int64_t token, const RowCodes& from, std::span<const std::int32_t> order) {
  const std::int64_t parts = two_parts_ ? 2 : 1;
  for (std::int64_t row = parts * token; row < parts * (token + 1); ++row) {
    const std::int8_t* source = from.codes_ + row * stride_;
    std::int8_t* to = codes_ + row * stride_;
    std::int32_t* sums = sums_ + row * (stride_ / kernels::packed::kSumInputs);
    scales_[row] = from.scales_[row];
    std::fill(sums, sums + stride_ / kernels::packed::kSumInputs, 0);
    std::fill(to + width_, to + stride_, std::int8_t{0});
    for (std::size_t k = 0; k < order.size(); ++k) {
      to[k] = source[order[k]];
      sums[k / kernels::packed::kSumInputs] += to[k];
    }
    join_sums(row);
  }
}

// Sums of 16 codes become those of sum_inputs_, in place.
void RowCodes::join_sums(std::int64_t row) {
  const std::int64_t count = stride_ / kernels::packed::kSumInputs;
  const std::int64_t step = sum_inputs_ / kernels::packed::kSumInputs;
  std::int32_t* sums = sums_ + row * count;
  totals_[row] = std::accumulate(sums, sums + count, 0);
  if (step == 1) return;
  for (std::int64_t from = 0, to = 0; from < count; from += step, ++to)
    sums[to] = std::accumulate(sums + from, sums + std::min(count, from + step), 0);
}

float RowCodes::value(std::int64_t token, std::int64_t index) const {
  const auto part = [&](std::int64_t row) { return scales_[row] * static_cast<float>(codes_[row * stride_ + index]); };
  return two_parts_ ? part(2 * token) + part(2 * token + 1) : part(token);
}

kernels::packed::RowsView RowCodes::view() const {
  kernels::packed::RowsView view;
  view.codes = codes_;
  view.scales = scales_;
  view.sums = sums_;
  view.totals = totals_;
  view.stride = stride_;
  view.sums_stride = stride_ / kernels::packed::kSumInputs;
  view.sum_inputs = sum_inputs_;
  view.num_rows = two_parts_ ? 2 * tokens_ : tokens_;
  return view;
}

}  // namespace quernel::engine
