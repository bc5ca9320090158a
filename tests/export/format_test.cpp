#include "export/format.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "export/tiny_model.h"

namespace quernel::exporting {
namespace {

using testing::HasSubstr;

model::LinearModule module_of(const std::string& name, std::int64_t rows, std::int64_t cols) {
  return {name, model::Site::attention_in, rows, cols, {{model::Linear::q, 0, rows}}};
}

FormatInput input_of(int bits, std::int64_t group_size, bool symmetric, std::int64_t rows = 64,
                     std::int64_t cols = 128) {
  return {test::tiny_info(bits, group_size, symmetric), {module_of("a.b", rows, cols)}, {}, false};
}

const Format& row(const std::string& name) { return *find_format(name).value(); }

TEST(FormatRegistry, NamesAreFoundAndOthersAreListed) {
  EXPECT_STREQ(row("gptq").name, "gptq");
  EXPECT_STREQ(row("awq").name, "awq");
  EXPECT_STREQ(row("compressed-tensors").name, "compressed-tensors");
  const auto missing = find_format("gptq2");
  ASSERT_FALSE(missing.ok());
  EXPECT_THAT(missing.error().expected, HasSubstr("compressed-tensors"));
}

TEST(FormatRegistry, EveryRowHoldsEveryPlainCombination) {
  for (const Format& format : formats()) {
    for (const int bits : format.bits) {
      for (const std::int64_t group_size : {-1, 32, 64, 128}) {
        for (const bool symmetric : {false, true}) {
          EXPECT_TRUE(check_holdable(format, input_of(bits, group_size, symmetric)).ok())
              << format.name << bits << group_size;
        }
      }
    }
  }
}

TEST(FormatRegistry, UnknownBitsAreRefused) {
  for (const Format& format : formats()) {
    const Status status = check_holdable(format, input_of(5, 32, true));
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().field, "bits");
  }
}

TEST(FormatRegistry, TailGroupsNameTheNearestValidSize) {
  FormatInput input = input_of(4, 128, false, 64, 576);
  input.modules.push_back(module_of("c", 64, 1536));
  EXPECT_TRUE(check_holdable(row("gptq"), input).ok());
  const Status status = check_holdable(row("compressed-tensors"), input);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().tensor, "a.b");
  EXPECT_EQ(status.error().field, "group_size");
  EXPECT_THAT(status.error().hint, HasSubstr("64"));
  EXPECT_THAT(row("gptq").notes(input), testing::Contains(HasSubstr("64 divides every input")));
}

TEST(FormatRegistry, NearestGroupSize) {
  EXPECT_EQ(nearest_group_size({module_of("a", 8, 576)}, 128), 64);
  EXPECT_EQ(nearest_group_size({module_of("a", 8, 4096)}, 4096), 1024);
  EXPECT_EQ(nearest_group_size({module_of("a", 8, 4096)}, 100), 64);
  EXPECT_EQ(nearest_group_size({module_of("a", 8, 100)}, 128), -1);
}

TEST(FormatRegistry, ThreeBitGptqNeedsThirtyTwos) {
  EXPECT_TRUE(check_holdable(row("gptq"), input_of(3, 32, true, 96, 128)).ok());
  for (const auto& [rows, cols] : std::vector<std::pair<std::int64_t, std::int64_t>>{{72, 128}, {64, 80}}) {
    FormatInput input = input_of(3, 16, true, rows, cols);
    const Status status = check_holdable(row("gptq"), input);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().field, "shape");
    EXPECT_TRUE(check_holdable(row("compressed-tensors"), input).ok());
  }
}

TEST(FormatRegistry, ScatteredGroupsAreGptqOnly) {
  FormatInput input = input_of(4, 32, true);
  input.scattered_groups = true;
  EXPECT_TRUE(check_holdable(row("gptq"), input).ok());
  const Status status = check_holdable(row("compressed-tensors"), input);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().field, "act_order");
}

TEST(FormatRegistry, GptqScalesAreHalfPrecision) {
  FormatInput input = input_of(4, 32, true);
  input.info.scale_dtype = DType::bf16;
  EXPECT_FALSE(check_holdable(row("gptq"), input).ok());
  EXPECT_TRUE(check_holdable(row("compressed-tensors"), input).ok());
}

TEST(FormatRegistry, NotesSayWhichEngineRefuses) {
  EXPECT_THAT(row("gptq").notes(input_of(4, 128, true, 128, 128)), testing::IsEmpty());
  EXPECT_THAT(row("gptq").notes(input_of(4, 128, false, 128, 128)), testing::ElementsAre(HasSubstr("gptq_v2")));
  EXPECT_THAT(row("gptq").notes(input_of(4, 48, true, 128, 96)), testing::Contains(HasSubstr("GPTQModel refuses")));
  EXPECT_THAT(row("compressed-tensors").notes(input_of(3, 32, true)), testing::Contains(HasSubstr("0.17")));
}

TEST(CheckMatrix, NamesTheFieldThatDiffers) {
  const FormatInput input = input_of(4, 32, false, 4, 64);
  Matrix weight(4, 64);
  for (std::int64_t i = 0; i < weight.size(); ++i) weight.data()[i] = static_cast<float>(i % 17) - 8.0F;
  const codec::IntegerMatrix good = test::round_matrix(weight.view(), input.info);
  const auto field_of = [&](auto change) {
    codec::IntegerMatrix bad = good;
    change(bad);
    const Status status = check_matrix(input, input.modules[0], bad);
    return status.ok() ? std::string("accepted") : status.error().field;
  };
  EXPECT_EQ(field_of([](auto&) {}), "accepted");
  EXPECT_EQ(field_of([](auto& m) { m.bits = 8; }), "bits");
  EXPECT_EQ(field_of([](auto& m) { m.group_size = 64; }), "group_size");
  EXPECT_EQ(field_of([](auto& m) { m.symmetric = true; }), "symmetric");
  EXPECT_EQ(field_of([](auto& m) { m.scale_dtype = DType::bf16; }), "scale_dtype");
  EXPECT_EQ(field_of([](auto& m) { m.rows = 5; }), "rows");
  EXPECT_EQ(field_of([](auto& m) { std::swap(m.group_of_column[0], m.group_of_column[63]); }), "group_of_column");
  // What would write NaN, infinity or a dead group.
  EXPECT_NE(field_of([](auto& m) { m.scales[1] = 0.0F; }), "accepted");
  EXPECT_NE(field_of([](auto& m) { m.scales[1] = std::numeric_limits<float>::infinity(); }), "accepted");
  EXPECT_NE(field_of([](auto& m) { m.codes[3] = 16; }), "accepted");
  EXPECT_NE(field_of([](auto& m) { m.zero_points[3] = 16; }), "accepted");
}

TEST(FormatRegistry, OnlineTransformsAreRefusedWhereNoReaderDoesThem) {
  for (const char* name : {"gptq", "awq", "compressed-tensors"}) {
    FormatInput input = input_of(4, 64, false);
    input.online_transforms = true;
    const Status status = check_holdable(row(name), input);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().field, "quernel_runtime");
    EXPECT_THAT(status.error().message, HasSubstr("Hadamard"));
  }
}

}  // namespace
}  // namespace quernel::exporting
