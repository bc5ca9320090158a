#include "sys/memory.h"

#include <gtest/gtest.h>

#include <vector>

#include "sys/clock.h"

namespace quernel::sys {
namespace {

TEST(Memory, ResidentGrowsWithUseAndPeakStays) {
  const std::uint64_t before = resident_bytes();
  ASSERT_GT(before, 0U);
  {
    std::vector<char> block(64 << 20);
    volatile char* at = block.data();  // seen by nobody: compilers may leave out anything else
    for (std::size_t i = 0; i < block.size(); i += 4096) at[i] = 1;
    EXPECT_GT(resident_bytes(), before + (32U << 20));
  }
  EXPECT_GT(peak_resident_bytes(), before + (32U << 20));
  EXPECT_GT(available_bytes(), 0U);
}

TEST(MemoryBudget, RefusesAboveTheCeilingAndSaysWhatWouldDo) {
  MemoryBudget budget(1000);
  EXPECT_TRUE(budget.reserve("hidden states", 600).ok());
  const Status refused = budget.reserve("hessian", 500);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().fault, Fault::out_of_memory);
  EXPECT_NE(to_string(refused.error()).find("--max-memory"), std::string::npos);
  EXPECT_EQ(budget.reserved_bytes(), 600U);
  budget.release(600);
  EXPECT_TRUE(budget.reserve("hessian", 1000).ok());
  EXPECT_EQ(budget.peak_reserved_bytes(), 1000U);
}

TEST(MemoryBudget, NoCeilingNeverRefuses) {
  MemoryBudget budget(0);
  EXPECT_TRUE(budget.reserve("all", std::uint64_t{1} << 50).ok());
}

TEST(Memory, FreeDiskIsThatOfTheNearestParent) {
  EXPECT_GT(free_disk_bytes("/tmp"), 0U);
  EXPECT_GT(free_disk_bytes("/tmp/not/there/yet"), 0U);
}

TEST(Memory, ParsesSizes) {
  EXPECT_EQ(*parse_bytes("4096"), 4096U);
  EXPECT_EQ(*parse_bytes("16G"), std::uint64_t{16} << 30);
  EXPECT_EQ(*parse_bytes("1.5GiB"), std::uint64_t{3} << 29);
  EXPECT_EQ(*parse_bytes("512mb"), std::uint64_t{512} << 20);
  for (const char* bad : {"", "G", "-1", "1X", "1e99", "nan", "12 G "}) EXPECT_FALSE(parse_bytes(bad).ok()) << bad;
}

TEST(Memory, FormatsSizesAndTimes) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(98'362'432), "98.4 MB");
  EXPECT_EQ(format_bytes(540'000'000), "540 MB");
  EXPECT_EQ(format_duration(7.26), "7.3 s");
  EXPECT_EQ(format_duration(125), "2 min 05 s");
  EXPECT_EQ(format_duration(3600 + 720), "1 h 12 min");
  EXPECT_EQ(format_duration(-1), "?");
}

}  // namespace
}  // namespace quernel::sys
