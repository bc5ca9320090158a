#include "runtime/workspace.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>

namespace quernel::runtime {
namespace {

constexpr std::int64_t kMega = std::int64_t{1} << 20;

TEST(Workspace, MatricesOfNestedFramesDoNotOverlap) {
  Workspace workspace;
  Workspace::Frame outer(&workspace);
  const MatrixView a = outer.take(3, 5);
  const MatrixView big = outer.take(4, kMega);  // a slab of its own
  std::fill(a.data, a.data + 15, 1.0F);
  big(3, kMega - 1) = 2.0F;
  {
    Workspace::Frame inner(&workspace);
    const MatrixView b = inner.take(7, 1);
    const MatrixView c = inner.take(2, 2 * kMega);
    std::fill(b.data, b.data + 7, 3.0F);
    std::fill(c.data, c.data + 4 * kMega, 4.0F);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(b.data) % 64, 0U);
  }
  EXPECT_EQ(a(2, 4), 1.0F);
  EXPECT_EQ(big(3, kMega - 1), 2.0F);
}

TEST(Workspace, MemoryIsReused) {
  Workspace workspace;
  const float* first = nullptr;
  for (int round = 0; round < 5; ++round) {
    Workspace::Frame frame(&workspace);
    const MatrixView a = frame.take(100, 100);
    if (round == 0) first = a.data;
    EXPECT_EQ(a.data, first);
    const MatrixView b = frame.take(2, kMega);
    EXPECT_NE(b.data, first);
  }
  EXPECT_EQ(workspace.bytes(), static_cast<std::uint64_t>(3 * kMega) * 4);
}

TEST(Workspace, AGrowingDemandDoesNotPileUpSlabs) {
  Workspace workspace;
  for (std::int64_t size = 1; size <= 8; ++size) {
    Workspace::Frame frame(&workspace);
    frame.take(size, kMega);
  }
  EXPECT_EQ(workspace.bytes(), static_cast<std::uint64_t>(8 * kMega) * 4);
}

TEST(Workspace, AFrameWithoutOneHasItsOwn) {
  Workspace::Frame frame(nullptr);
  const MatrixView a = frame.take(1, 3);
  a(0, 2) = 1.0F;
  EXPECT_EQ(a(0, 2), 1.0F);
}

}  // namespace
}  // namespace quernel::runtime
