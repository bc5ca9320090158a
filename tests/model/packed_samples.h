// One quantized module inside an otherwise dense tiny model: opened, read back, or refused.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "codec/int_pack_samples.h"
#include "model/checkpoint.h"
#include "model/tiny_models.h"

namespace quernel::model {

inline constexpr const char* kModule = "model.layers.0.mlp.gate_proj";  // [64, 32]

inline codec::IntegerMatrix sample(int bits, std::int64_t group_size, bool symmetric, DType scale_dtype = DType::f16) {
  return codec::random_matrix(64, 32, bits, group_size, symmetric, scale_dtype);
}

inline std::string word_bytes(const std::vector<std::uint32_t>& words) {
  return {reinterpret_cast<const char*>(words.data()), words.size() * 4};
}

inline void expect_module(const Json& config, const TinyTensors& tensors, const codec::IntegerMatrix& wanted) {
  const test::TempFolder folder;
  write_folder(folder.path(), config, tensors);
  const Result<Checkpoint> checkpoint = Checkpoint::open(folder.path());
  ASSERT_TRUE(checkpoint.ok()) << to_string(checkpoint.error());
  EXPECT_THAT(checkpoint->extra_tensors(), ::testing::IsEmpty());
  ASSERT_TRUE(checkpoint->quantization().has_value());
  EXPECT_TRUE(checkpoint->is_quantized(kModule));
  EXPECT_FALSE(checkpoint->is_quantized("model.layers.1.mlp.gate_proj"));
  const Result<codec::IntegerMatrix> matrix = checkpoint->read_quantized(kModule);
  ASSERT_TRUE(matrix.ok()) << to_string(matrix.error());
  codec::expect_same(*matrix, wanted);
  const Result<Matrix> weight = checkpoint->read_weight(kModule);
  ASSERT_TRUE(weight.ok());
  EXPECT_EQ((*weight)(5, 3),
            wanted.scales[static_cast<std::size_t>(5 * wanted.num_groups() + wanted.group_of_column[3])] *
                static_cast<float>(
                    wanted.codes[5 * 32 + 3] -
                    wanted.zero_points[static_cast<std::size_t>(5 * wanted.num_groups() + wanted.group_of_column[3])]));
}

inline Error refusal(const Json& config, const TinyTensors& tensors) {
  const test::TempFolder folder;
  write_folder(folder.path(), config, tensors);
  const Result<Checkpoint> checkpoint = Checkpoint::open(folder.path());
  EXPECT_FALSE(checkpoint.ok());
  return checkpoint.ok() ? Error{} : checkpoint.error();
}

}  // namespace quernel::model
