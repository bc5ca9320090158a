#include "eval/logit_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/rng.h"
#include "support/temp_folder.h"

namespace quernel::eval {
namespace {

std::vector<float> random_row(std::size_t size, double spread, std::uint64_t seed) {
  CounterRng rng(seed, "logits");
  std::vector<float> row(size);
  for (float& value : row) value = static_cast<float>(spread * rng.normal());
  return row;
}

std::vector<std::byte> encoded(const std::vector<float>& row) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(stored_row_bytes(static_cast<std::int64_t>(row.size()))));
  encode_row(row, bytes);
  return bytes;
}

TEST(LogitCache, GoldenRow) {
  // Range 0 .. 4: step 4 / 65535; 1 is code 16383.75, stored as 16384.
  const std::vector<std::byte> bytes = encoded({1.0F, 4.0F, 0.0F, 4.0F});
  const std::vector<unsigned char> expected{0, 0, 0, 0,    0x80, 0,    0x80, 0x38, 1,    0,
                                            0, 0, 0, 0x40, 0xFF, 0xFF, 0,    0,    0xFF, 0xFF};
  ASSERT_EQ(bytes.size(), expected.size());
  EXPECT_EQ(std::memcmp(bytes.data(), expected.data(), bytes.size()), 0);
}

TEST(LogitCache, IsOffByHalfAStepAtMost) {
  for (const double spread : {1e-3, 1.0, 7.0, 300.0}) {
    const std::vector<float> row = random_row(5000, spread, 3);
    std::vector<float> decoded(row.size());
    const StoredRow stored = decode_row(encoded(row), decoded);
    const float largest = *std::max_element(row.begin(), row.end());
    EXPECT_EQ(stored.argmax, std::max_element(row.begin(), row.end()) - row.begin());
    EXPECT_LE(stored.step, 40.0F / 65535.0F * 1.0001F);
    for (std::size_t i = 0; i < row.size(); ++i) {
      const float target = std::max(row[i], largest - 40.0F);
      // Half a step, and the roundings of a float of this size.
      ASSERT_NEAR(decoded[i], target, 0.5F * stored.step + 4e-7F * (std::abs(largest) + 40.0F)) << i;
    }
  }
}

TEST(LogitCache, EqualLogitsStayEqual) {
  std::vector<float> decoded(4);
  EXPECT_EQ(decode_row(encoded({-3.5F, -3.5F, -3.5F, -3.5F}), decoded).step, 0.0F);
  EXPECT_EQ(decoded, (std::vector<float>{-3.5F, -3.5F, -3.5F, -3.5F}));
}

TEST(LogitCache, ArgmaxKeepsWhatCodesLose) {
  const std::vector<float> row{5.0F, 5.000001F, -30.0F};
  std::vector<float> decoded(3);
  EXPECT_EQ(decode_row(encoded(row), decoded).argmax, 1);
  EXPECT_EQ(argmax_of(decoded), 0);
  EXPECT_EQ(argmax_of(std::vector<float>{1.0F, 2.0F, 2.0F}), 1);
}

class CacheFile : public testing::Test {
 protected:
  std::string write(std::int64_t rows) {
    auto writer = LogitCacheWriter::create(folder_ / "c", {"key", 6, rows});
    EXPECT_TRUE(writer.ok());
    for (std::int64_t i = 0; i < rows; ++i) {
      rows_.push_back(encoded(random_row(6, 4.0, static_cast<std::uint64_t>(i))));
      EXPECT_TRUE(writer->append(rows_.back()).ok());
    }
    EXPECT_TRUE(writer->commit().ok());
    return test::read_text(folder_ / "c");
  }
  test::TempFolder folder_;
  std::vector<std::vector<std::byte>> rows_;
};

TEST_F(CacheFile, RowsComeBack) {
  write(5);
  const auto reader = LogitCacheReader::open(folder_ / "c", "key", 5);
  ASSERT_TRUE(reader.ok()) << to_string(reader.error());
  EXPECT_EQ(reader->vocab_size(), 6);
  for (std::int64_t i = 0; i < 5; ++i) {
    const auto row = reader->row(i);
    EXPECT_TRUE(std::equal(row.begin(), row.end(), rows_[static_cast<std::size_t>(i)].begin()));
  }
}

TEST_F(CacheFile, IsNotThereBeforeCommit) {
  {
    auto writer = LogitCacheWriter::create(folder_ / "c", {"key", 6, 1});
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE(writer->append(encoded(random_row(6, 4.0, 1))).ok());
  }
  const auto reader = LogitCacheReader::open(folder_ / "c", "key", 1);
  ASSERT_FALSE(reader.ok());
  EXPECT_EQ(reader.error().fault, Fault::not_found);
}

TEST_F(CacheFile, EveryTruncationAndEveryFlippedByteIsFound) {
  const std::string whole = write(2);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    test::write_text(folder_ / "d", whole.substr(0, length));
    ASSERT_FALSE(LogitCacheReader::open(folder_ / "d", "key", 2).ok()) << length;
  }
  for (std::size_t offset = 0; offset < whole.size(); ++offset) {
    std::string damaged = whole;
    damaged[offset] = static_cast<char>(damaged[offset] ^ 0x11);
    test::write_text(folder_ / "d", damaged);
    const auto reader = LogitCacheReader::open(folder_ / "d", "key", 2);
    ASSERT_FALSE(reader.ok()) << offset;
    ASSERT_EQ(reader.error().fault, Fault::corrupt) << offset;
  }
  EXPECT_FALSE(LogitCacheReader::open(folder_ / "c", "other key", 2).ok());
  EXPECT_FALSE(LogitCacheReader::open(folder_ / "c", "key", 3).ok());
}

TEST_F(CacheFile, RefusesAHugeVocabularyOfAHostileHeader) {
  const std::string header = R"({"key":"key","vocab_size":9223372036854775807,"num_rows":2})";
  std::string file = "QRNLLGT1";
  const std::uint64_t length = header.size();
  file.append(reinterpret_cast<const char*>(&length), sizeof(length));
  test::write_text(folder_ / "h", file + header + std::string(200, '0'));
  const auto reader = LogitCacheReader::open(folder_ / "h", "key", 2);
  ASSERT_FALSE(reader.ok());
  EXPECT_EQ(reader.error().fault, Fault::corrupt);
}

}  // namespace
}  // namespace quernel::eval
