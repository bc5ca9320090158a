// The step from a codec's function to the bytes of a tensor, which the rows of all formats share.
//
// Layout   a contiguous range of numbers as it lies in memory: safetensors is little-endian, and so is every machine we build for
// Errors   those of the codec's function, where it gives a Result
// Threads  pure functions
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "base/result.h"
#include "codec/integer_matrix.h"
#include "export/format.h"

namespace quernel::exporting {

template <class Range>
std::vector<std::byte> bytes_of(const Range& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

// A Packer of a function that needs the matrix alone and gives a range, or a Result with one.
template <auto codec_function>
Result<std::vector<std::byte>> packed(const FormatInput& /*input*/, const codec::IntegerMatrix& matrix) {
  auto values = codec_function(matrix);
  if constexpr (requires { values.error(); }) {
    if (!values.ok()) return std::move(values).error();
    return bytes_of(*values);
  } else {
    return bytes_of(values);
  }
}

}  // namespace quernel::exporting
