#include "engine/row_codes.h"

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
  QUERNEL_TRY(rows.memory_, sys::HugeBuffer::make(static_cast<std::uint64_t>(codes + 4 * sums + 8 * tokens)));
  auto* start = reinterpret_cast<std::int8_t*>(rows.memory_.data());
  rows.codes_ = start;
  rows.sums_ = reinterpret_cast<std::int32_t*>(start + codes);
  rows.scales_ = reinterpret_cast<float*>(start + codes + 4 * sums);
  return rows;
}

void RowCodes::begin(std::int64_t tokens, std::int64_t width, bool two_parts) {
  tokens_ = tokens;
  width_ = width;
  stride_ = stride_of(width);
  two_parts_ = two_parts;
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
}

float RowCodes::value(std::int64_t token, std::int64_t index) const {
  const auto part = [&](std::int64_t row) { return scales_[row] * static_cast<float>(codes_[row * stride_ + index]); };
  return two_parts_ ? part(2 * token) + part(2 * token + 1) : part(token);
}

kernels::packed::RowsView RowCodes::view() const {
  return {codes_, scales_, sums_, stride_, two_parts_ ? 2 * tokens_ : tokens_};
}

}  // namespace quernel::engine
