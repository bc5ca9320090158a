#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>

namespace quernel {
namespace {

Result<int> half_of(int value) {
  if (value % 2 != 0) return Error(Fault::invalid_argument, "odd").expect("an even number", std::to_string(value));
  return value / 2;
}

Result<int> quarter_of(int value) {
  QUERNEL_TRY(const int half, half_of(value));
  QUERNEL_TRY(const int quarter, half_of(half));
  return quarter;
}

Status must_be_even(int value) {
  QUERNEL_TRY_STATUS([&]() -> Status {
    auto result = half_of(value);
    if (!result.ok()) return std::move(result).error().in_file("numbers.txt");
    return {};
  }());
  return {};
}

TEST(Result, HoldsValueOrError) {
  EXPECT_EQ(quarter_of(12).value(), 3);
  const Result<int> failed = quarter_of(6);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().fault, Fault::invalid_argument);
  EXPECT_EQ(failed.error().found, "3");
}

TEST(Result, TryMovesValuesThatCannotBeCopied) {
  auto make = []() -> Result<std::unique_ptr<int>> { return std::make_unique<int>(7); };
  auto use = [&]() -> Result<int> {
    QUERNEL_TRY(auto pointer, make());
    return *pointer;
  };
  EXPECT_EQ(use().value(), 7);
}

TEST(Result, ErrorPrintsWhatIsKnownAndNoMore) {
  Error error(Fault::corrupt, "header ends early");
  EXPECT_EQ(to_string(error), "corrupt: header ends early");
  EXPECT_EQ(
      to_string(Error(error).in_file("m.safetensors").at(8).expect("120 bytes", "4").with_hint("download it again")),
      "corrupt: header ends early [file m.safetensors, offset 8, expected 120 bytes, found 4] hint: download it again");
}

TEST(Result, InnermostPlaceWins) {
  Error error = Error(Fault::corrupt, "x").in_file("inner").in_file("outer").at(0).at(5);
  EXPECT_EQ(error.file, "inner");
  EXPECT_EQ(error.offset, 0U);
}

TEST(Result, StatusPassesTheErrorUp) {
  EXPECT_TRUE(must_be_even(4).ok());
  const Status failed = must_be_even(5);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().file, "numbers.txt");
}

TEST(ResultDeathTest, ValueOfAnErrorIsOurBug) { EXPECT_DEATH(static_cast<void>(half_of(3).value()), "internal error"); }

}  // namespace
}  // namespace quernel
