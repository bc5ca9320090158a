#include "sys/huge_arena.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace quernel::sys {
namespace {

TEST(HugeArena, SlicesAreApartZeroedAndOutliveIt) {
  std::vector<HugeSlice> slices;
  {
    HugeArena arena(1 << 20);
    for (const std::uint64_t bytes : {1U, 63U, 64U, 65U, 900'000U, 700'000U, 5'000'000U, 10U})
      slices.push_back(std::move(arena.take(bytes)).value());
  }
  for (std::size_t i = 0; i < slices.size(); ++i) {
    HugeSlice& slice = slices[i];
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(slice.data) % 64, 0U);
    EXPECT_TRUE(std::all_of(slice.data, slice.data + slice.size, [](std::byte b) { return b == std::byte{0}; }));
    std::fill_n(slice.data, slice.size, static_cast<std::byte>(i + 1));
  }
  for (std::size_t i = 0; i < slices.size(); ++i)
    EXPECT_EQ(std::count(slices[i].data, slices[i].data + slices[i].size, static_cast<std::byte>(i + 1)),
              static_cast<std::ptrdiff_t>(slices[i].size));
}

TEST(HugeArena, SmallSlicesShareABuffer) {
  HugeArena arena;
  const HugeSlice first = std::move(arena.take(1000)).value();
  const HugeSlice second = std::move(arena.take(1000)).value();
  EXPECT_EQ(second.data - first.data, 1024);
  EXPECT_EQ(first.owner, second.owner);
}

TEST(HugeArena, WhatCannotBeHadIsAnError) {
  HugeArena arena;
  EXPECT_EQ(arena.take(std::uint64_t{1} << 62).error().fault, Fault::out_of_memory);
  EXPECT_TRUE(arena.take(100).ok());
}

}  // namespace
}  // namespace quernel::sys
