#include "calib/hidden_store.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <utility>

#include "support/temp_folder.h"

namespace quernel::calib {
namespace {

float value_at(std::int64_t row, std::int64_t col) { return static_cast<float>(row * 1000 + col); }

void fill(const HiddenStore& store) {
  for (std::int64_t row = 0; row < store.rows(); ++row) {
    for (std::int64_t col = 0; col < store.width(); ++col) store.row_block(row, 1)(0, col) = value_at(row, col);
  }
}

void expect_filled(const HiddenStore& store) {
  for (std::int64_t row = 0; row < store.rows(); ++row) {
    for (std::int64_t col = 0; col < store.width(); ++col) {
      ASSERT_EQ(store.row_block(0, store.rows())(row, col), value_at(row, col)) << row << ", " << col;
    }
  }
}

TEST(HiddenStore, KeepsRowsInMemoryAndOnDisk) {
  const test::TempFolder folder;
  for (const bool spill : {false, true}) {
    auto created = HiddenStore::create(301, 37, spill ? std::optional(folder.path()) : std::nullopt);
    ASSERT_TRUE(created.ok()) << to_string(created.error());
    HiddenStore store = std::move(created).value();
    EXPECT_EQ(store.spilled(), spill);
    for (std::int64_t col = 0; col < 37; ++col) EXPECT_EQ(store.row_block(300, 1)(0, col), 0.0F);
    fill(store);
    store.release(0, 301);  // must not lose anything, whole or in part
    store.release(7, 100);
    expect_filled(store);
    HiddenStore moved = std::move(store);
    expect_filled(moved);
    moved = HiddenStore();
    EXPECT_EQ(moved.rows(), 0);
  }
}

TEST(HiddenStore, SpillFileHasNoName) {
  const test::TempFolder folder;
  const auto store = HiddenStore::create(64, 64, folder.path());
  ASSERT_TRUE(store.ok());
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(HiddenStore, SaysWhatTheSystemRefuses) {
  const test::TempFolder folder;
  const auto missing = HiddenStore::create(4, 4, folder / "missing");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().fault, Fault::io_error);
  const auto too_large = HiddenStore::create(std::int64_t{1} << 40, 1 << 16, folder.path());
  ASSERT_FALSE(too_large.ok());
  EXPECT_EQ(too_large.error().fault, Fault::out_of_disk);
  const auto overflow = HiddenStore::create(std::int64_t{1} << 60, 1 << 16, std::nullopt);
  ASSERT_FALSE(overflow.ok());
  EXPECT_EQ(overflow.error().fault, Fault::limit_exceeded);
}

}  // namespace
}  // namespace quernel::calib
