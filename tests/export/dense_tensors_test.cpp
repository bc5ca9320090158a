#include "export/dense_tensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "export/tiny_model.h"
#include "support/shared_data.h"
#include "support/temp_folder.h"
#include "tensor/half.h"

namespace quernel::exporting {
namespace {

Result<std::vector<std::byte>> collect(const DenseTensors& dense, const io::PlannedTensor& tensor) {
  std::vector<std::byte> bytes;
  const Status status = dense.stream(tensor, [&](std::span<const std::byte> part) {
    bytes.insert(bytes.end(), part.begin(), part.end());
    return ok_status();
  });
  if (!status.ok()) return status.error();
  return bytes;
}

TEST(DenseTensors, FolderTensorsKeepTheirBytes) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    const test::TempFolder temp;
    test::TinyOptions options;
    options.dtype = dtype;
    test::write_tiny_model(temp / "source", options);
    const auto source = model::Checkpoint::open(temp / "source");
    ASSERT_TRUE(source.ok());
    const DenseTensors dense(*source, {}, DType::f16);
    EXPECT_EQ(dense.plan().size(), source->tensors().size());
    for (const io::PlannedTensor& tensor : dense.plan()) {
      EXPECT_EQ(tensor.dtype, dtype);
      const auto bytes = collect(dense, tensor);
      const auto view = source->view(tensor.name);
      ASSERT_TRUE(bytes.ok() && view.ok());
      EXPECT_TRUE(std::equal(bytes->begin(), bytes->end(), view->bytes.begin(), view->bytes.end())) << tensor.name;
    }
  }
}

TEST(DenseTensors, QuantizedModulesLeaveTheirBias) {
  const test::TempFolder temp;
  test::TinyOptions options;
  options.attention_bias = true;
  test::write_tiny_model(temp / "source", options);
  const auto source = model::Checkpoint::open(temp / "source");
  ASSERT_TRUE(source.ok());
  const DenseTensors dense(*source, {"model.layers.0.self_attn.q_proj"}, DType::f16);
  std::vector<std::string> names;
  for (const auto& tensor : dense.plan()) names.push_back(tensor.name);
  EXPECT_THAT(names, testing::Contains("model.layers.0.self_attn.q_proj.bias"));
  EXPECT_THAT(names, testing::Not(testing::Contains("model.layers.0.self_attn.q_proj.weight")));
  EXPECT_THAT(names, testing::Contains("model.layers.1.self_attn.q_proj.weight"));
}

TEST(DenseTensors, AnotherCheckpointMayGiveSomeOfThem) {
  const test::TempFolder temp;
  test::write_tiny_model(temp / "source", {});
  test::write_tiny_model(temp / "other", {.outlier = 9.0F});  // differs in down_proj
  const auto source = model::Checkpoint::open(temp / "source").value();
  const auto other = model::Checkpoint::open(temp / "other").value();
  const std::string moved = "model.layers.1.mlp.down_proj.weight";
  const DenseTensors dense(source, {}, DType::f16,
                           [&](const std::string& name) { return name == moved ? &other : nullptr; });
  for (const io::PlannedTensor& tensor : dense.plan()) {
    const auto bytes = collect(dense, tensor).value();
    const auto same = [&](const model::Checkpoint& checkpoint) {
      const auto view = checkpoint.view(tensor.name).value();
      return std::equal(bytes.begin(), bytes.end(), view.bytes.begin(), view.bytes.end());
    };
    EXPECT_EQ(same(source), tensor.name != moved) << tensor.name;
    if (tensor.name == moved) {
      EXPECT_TRUE(same(other));
    }
  }
}

TEST(DenseTensors, AnotherCheckpointsTypeMustBeTheSources) {
  const test::TempFolder temp;
  test::write_tiny_model(temp / "source", {});
  test::write_tiny_model(temp / "other", {.dtype = DType::bf16});
  const auto source = model::Checkpoint::open(temp / "source").value();
  const auto other = model::Checkpoint::open(temp / "other").value();
  const DenseTensors dense(source, {}, DType::f16, [&](const std::string&) { return &other; });
  const auto bytes = collect(dense, dense.plan().front());
  ASSERT_FALSE(bytes.ok());
  EXPECT_EQ(bytes.error().fault, Fault::unsupported);
  EXPECT_EQ(bytes.error().tensor, dense.plan().front().name);
}

TEST(DenseTensors, RefusesNonfiniteWeightsByName) {
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    const test::TempFolder temp;
    test::write_tiny_model(temp / "source", {});
    std::string bytes = test::read_text(temp / "source/model.safetensors");
    std::memcpy(bytes.data() + bytes.size() - 4, &bad, 4);
    test::write_text(temp / "source/model.safetensors", bytes);
    const auto source = model::Checkpoint::open(temp / "source");
    ASSERT_TRUE(source.ok());
    const DenseTensors dense(*source, {}, DType::f16);
    std::vector<std::string> refused;
    for (const auto& tensor : dense.plan()) {
      const auto result = collect(dense, tensor);
      if (!result.ok()) refused.push_back(result.error().tensor);
    }
    EXPECT_THAT(refused, testing::ElementsAre("model.norm.weight"));  // last by name in the file
  }
}

TEST(DenseTensors, GgufTensorsAreDecodedAndRoundedOnce) {
  const auto path = test::test_model();
  if (!path) GTEST_SKIP() << "QUERNEL_TEST_MODEL is not set";
  const auto source = model::Checkpoint::open(*path);
  ASSERT_TRUE(source.ok()) << to_string(source.error());
  for (const DType dtype : {DType::f16, DType::bf16, DType::f32}) {
    const DenseTensors dense(*source, {}, dtype);
    const io::PlannedTensor tensor{"model.layers.0.self_attn.k_proj.weight", dtype,
                                   source->find("model.layers.0.self_attn.k_proj.weight")->shape};
    const auto bytes = collect(dense, tensor);
    const auto values = source->read(tensor.name);
    ASSERT_TRUE(bytes.ok() && values.ok());
    ASSERT_EQ(bytes->size(), static_cast<std::size_t>(values->size()) * size_of(dtype));
    for (std::int64_t i = 0; i < values->size(); ++i) {
      float expected = values->data()[i];
      float found = 0.0F;
      if (dtype == DType::f32) {
        std::memcpy(&found, bytes->data() + 4 * i, 4);
      } else {
        std::uint16_t half = 0;
        std::memcpy(&half, bytes->data() + 2 * i, 2);
        found = dtype == DType::f16 ? f16_to_float(half) : bf16_to_float(half);
        expected = dtype == DType::f16 ? f16_to_float(float_to_f16(expected)) : bf16_to_float(float_to_bf16(expected));
      }
      ASSERT_EQ(found, expected) << i;
    }
  }
}

}  // namespace
}  // namespace quernel::exporting
