#include "sys/file_stamp.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "support/temp_folder.h"

namespace quernel::sys {
namespace {

TEST(FileStamp, TellsSizesTimesAndEdgesApart) {
  const test::TempFolder folder;
  const std::string path = folder / "a";
  std::string text(300'000, 'x');
  test::write_text(path, text);
  const auto time = std::filesystem::last_write_time(path);
  const FileStamp stamp = *stamp_file(path);
  EXPECT_EQ(stamp.bytes, text.size());
  EXPECT_EQ(stamp, *stamp_file(path));
  for (const std::size_t place : {std::size_t{0}, text.size() - 1}) {
    std::string other = text;
    other[place] = 'y';
    test::write_text(path, other);
    std::filesystem::last_write_time(path, time);
    EXPECT_EQ(stamp_file(path)->modified_ns, stamp.modified_ns);
    EXPECT_NE(*stamp_file(path), stamp);
  }
  test::write_text(path, text);
  std::filesystem::last_write_time(path, time + std::chrono::nanoseconds(1000));
  EXPECT_NE(*stamp_file(path), stamp);
  test::write_text(path, text + "x");
  EXPECT_NE(stamp_file(path)->bytes, stamp.bytes);
}

TEST(FileStamp, SmallAndMissingFiles) {
  const test::TempFolder folder;
  test::write_text(folder / "empty", "");
  EXPECT_EQ(stamp_file(folder / "empty")->bytes, 0U);
  EXPECT_EQ(stamp_file(folder / "none").error().fault, Fault::not_found);
}

}  // namespace
}  // namespace quernel::sys
