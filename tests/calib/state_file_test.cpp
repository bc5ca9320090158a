#include "calib/state_file.h"

#include <gtest/gtest.h>

#include <cstring>

#include "support/temp_folder.h"

namespace quernel::calib {
namespace {

StateHeader header_of(std::int64_t rows, std::int64_t width) {
  StateHeader header;
  header.layer = 5;
  header.rows = rows;
  header.width = width;
  header.length = 3;
  header.samples_sha256 = std::string(64, 'a');
  header.precision = "f32";
  return header;
}

HiddenStore filled(std::int64_t rows, std::int64_t width) {
  HiddenStore store = HiddenStore::create(rows, width, std::nullopt).value();
  for (std::int64_t i = 0; i < rows * width; ++i)
    store.row_block(0, rows).data[i] = 0.5F * static_cast<float>(i) - 7.0F;
  return store;
}

HiddenStore zeros(std::int64_t rows, std::int64_t width) {
  return HiddenStore::create(rows, width, std::nullopt).value();
}

bool equal(const HiddenStore& a, const HiddenStore& b) {
  return std::memcmp(a.row_block(0, a.rows()).data, b.row_block(0, b.rows()).data,
                     static_cast<std::size_t>(a.rows() * a.width()) * sizeof(float)) == 0;
}

TEST(StateFile, ComesBackBitForBit) {
  const test::TempFolder folder;
  const HiddenStore written = filled(2500, 9);  // more than one block of rows
  ASSERT_TRUE(save_state(folder / "s", header_of(2500, 9), written).ok());
  HiddenStore read = zeros(2500, 9);
  const auto layer = load_state(folder / "s", header_of(2500, 9), read);
  ASSERT_TRUE(layer.ok()) << to_string(layer.error());
  EXPECT_EQ(*layer, 5);
  EXPECT_TRUE(equal(written, read));
}

TEST(StateFile, EveryTruncationAndEveryFlippedByteIsFound) {
  const test::TempFolder folder;
  const HiddenStore untouched = zeros(6, 2);
  ASSERT_TRUE(save_state(folder / "s", header_of(6, 2), filled(6, 2)).ok());
  const std::string whole = test::read_text(folder / "s");
  for (std::size_t length = 0; length < whole.size(); ++length) {
    test::write_text(folder / "cut", whole.substr(0, length));
    HiddenStore store = zeros(6, 2);
    const auto layer = load_state(folder / "cut", header_of(6, 2), store);
    ASSERT_FALSE(layer.ok()) << length;
    EXPECT_EQ(layer.error().file, folder / "cut");
    ASSERT_TRUE(equal(store, untouched)) << length;
  }
  for (std::size_t offset = 0; offset < whole.size(); ++offset) {
    std::string damaged = whole;
    damaged[offset] = static_cast<char>(damaged[offset] ^ 0x20);
    test::write_text(folder / "flipped", damaged);
    HiddenStore store = zeros(6, 2);
    ASSERT_FALSE(load_state(folder / "flipped", header_of(6, 2), store).ok()) << offset;
    ASSERT_TRUE(equal(store, untouched)) << offset;
  }
  test::write_text(folder / "longer", whole + "x");
  HiddenStore store = zeros(6, 2);
  EXPECT_FALSE(load_state(folder / "longer", header_of(6, 2), store).ok());
}

TEST(StateFile, NamesTheFieldOfAnotherJob) {
  const test::TempFolder folder;
  ASSERT_TRUE(save_state(folder / "s", header_of(6, 2), filled(6, 2)).ok());
  const auto refused = [&](const StateHeader& expected, HiddenStore store) {
    const auto layer = load_state(folder / "s", expected, store);
    EXPECT_FALSE(layer.ok());
    EXPECT_EQ(layer.error().fault, Fault::incompatible_state);
    return layer.error().field;
  };
  EXPECT_EQ(refused(header_of(5, 2), zeros(5, 2)), "rows");
  EXPECT_EQ(refused(header_of(6, 3), zeros(6, 3)), "width");
  StateHeader other = header_of(6, 2);
  other.length = 2;
  EXPECT_EQ(refused(other, zeros(6, 2)), "length");
  other = header_of(6, 2);
  other.samples_sha256 = std::string(64, 'b');
  EXPECT_EQ(refused(other, zeros(6, 2)), "samples_sha256");
  other = header_of(6, 2);
  other.precision = "bf16";
  EXPECT_EQ(refused(other, zeros(6, 2)), "precision");
}

}  // namespace
}  // namespace quernel::calib
