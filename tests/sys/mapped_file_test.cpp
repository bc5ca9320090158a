#include "sys/mapped_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "support/temp_folder.h"

namespace quernel::sys {
namespace {

namespace fs = std::filesystem;

std::string text_of(const MappedFile& file) {
  const auto bytes = file.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(MappedFile, ReadsWholeFilesAndEmptyOnes) {
  const test::TempFolder folder;
  test::write_text(folder / "a", "hello");
  test::write_text(folder / "empty", "");
  EXPECT_EQ(text_of(*MappedFile::open(folder / "a")), "hello");
  EXPECT_EQ(MappedFile::open(folder / "empty")->bytes().size(), 0U);
}

TEST(MappedFile, RefusesWhatIsNoRegularFile) {
  const test::TempFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(MappedFile::open(folder / "pipe").error().fault, Fault::unsupported);
  EXPECT_EQ(MappedFile::open(folder.path()).error().fault, Fault::unsupported);
  EXPECT_EQ(MappedFile::open(folder / "none").error().fault, Fault::not_found);
  EXPECT_FALSE(MappedFile::open("/dev/zero").ok());
}

TEST(MappedFile, ContainedRefusesPathTricks) {
  const test::TempFolder folder;
  const test::TempFolder outside;
  test::write_text(folder / "inside", "in");
  test::write_text(outside / "secret", "out");
  fs::create_symlink(outside / "secret", folder / "link_out");
  fs::create_symlink("inside", folder / "link_in");
  fs::create_symlink("../" + fs::path(outside.path()).filename().string() + "/secret", folder / "link_relative");
  fs::create_symlink("loop", folder / "loop");
  fs::create_directory(folder / "sub");

  EXPECT_EQ(text_of(*MappedFile::open_contained(folder.path(), "inside")), "in");
  EXPECT_EQ(text_of(*MappedFile::open_contained(folder.path(), "link_in")), "in");
  for (const std::string& name :
       {std::string(""), std::string("."), std::string(".."), std::string("../x"), std::string("/etc/passwd"),
        std::string("sub/../inside"), std::string("./inside"), std::string("a\0b", 3), std::string(300, 'a'),
        std::string("link_out"), std::string("link_relative"), std::string("loop")})
    EXPECT_FALSE(MappedFile::open_contained(folder.path(), name).ok()) << name;
}

TEST(MappedFile, HubCacheLinksReachTheirBlobs) {
  const test::TempFolder cache;
  const std::string entry = cache / "models--org--name";
  fs::create_directories(entry + "/snapshots/abc");
  fs::create_directories(entry + "/blobs");
  test::write_text(entry + "/blobs/123", "weights");
  test::write_text(cache / "other", "not yours");
  fs::create_symlink("../../blobs/123", entry + "/snapshots/abc/model.safetensors");
  fs::create_symlink("../../../other", entry + "/snapshots/abc/stolen");
  EXPECT_EQ(text_of(*MappedFile::open_contained(entry + "/snapshots/abc", "model.safetensors")), "weights");
  EXPECT_FALSE(MappedFile::open_contained(entry + "/snapshots/abc", "stolen").ok());
}

TEST(MappedFile, ReleaseKeepsContents) {
  const test::TempFolder folder;
  test::write_text(folder / "a", std::string(100000, 'q'));
  const auto file = MappedFile::open(folder / "a");
  ASSERT_TRUE(file.ok());
  file->release(10, 99990);
  file->release(0, 1U << 30);
  EXPECT_EQ(text_of(*file), std::string(100000, 'q'));
}

}  // namespace
}  // namespace quernel::sys
