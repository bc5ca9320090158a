// One module with codes that can be read in hexadecimal: for the golden words of each format.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "export/format.h"
#include "export/tiny_model.h"

namespace quernel::exporting {

using Words = std::vector<std::uint32_t>;

inline FormatInput counting_input(bool symmetric) {
  FormatInput input;
  input.info = test::tiny_info(4, 8, symmetric);
  input.modules = {{"m", model::Site::mlp_in, 8, 16, {}}};
  return input;
}

// Code of output n and input k is n + k mod 16; zero of group g is n + 8 g mod 16, or 8.
inline codec::IntegerMatrix counting_matrix(bool symmetric) {
  codec::IntegerMatrix matrix;
  matrix.rows = 8;
  matrix.cols = 16;
  matrix.bits = 4;
  matrix.group_size = 8;
  matrix.symmetric = symmetric;
  matrix.group_of_column = codec::contiguous_groups(16, 8);
  for (int n = 0; n < 8; ++n) {
    for (int k = 0; k < 16; ++k) matrix.codes.push_back(static_cast<std::uint8_t>((n + k) % 16));
    for (int g = 0; g < 2; ++g) {
      matrix.scales.push_back(1.0F + static_cast<float>(n) / 8 + static_cast<float>(g) / 2);
      matrix.zero_points.push_back(static_cast<std::uint8_t>(symmetric ? 8 : (n + 8 * g) % 16));
    }
  }
  return matrix;
}

inline Words words_of(const Format& format, const codec::IntegerMatrix& matrix, std::size_t part) {
  FormatInput input = counting_input(matrix.symmetric);
  input.compact_scales = true;
  const auto bytes = format.pack.at(part)(input, matrix);
  EXPECT_TRUE(bytes.ok());
  Words words(bytes->size() / 4);
  std::memcpy(words.data(), bytes->data(), bytes->size());
  return words;
}

inline std::vector<std::string> described(const std::vector<io::PlannedTensor>& plan) {
  std::vector<std::string> out;
  for (const auto& tensor : plan) {
    out.push_back(tensor.name + " " + std::string(to_string(tensor.dtype)) + " " + to_string(tensor.shape));
  }
  return out;
}

}  // namespace quernel::exporting
