#include "sys/atomic_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <string>

#include "support/temp_folder.h"
#include "sys/interrupt.h"

namespace quernel::sys {
namespace {

namespace fs = std::filesystem;

std::size_t count_files(const std::string& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(AtomicFile, CommitShowsTheWholeContent) {
  const test::TempFolder folder;
  ASSERT_TRUE(write_file(folder / "a", "first").ok());
  ASSERT_TRUE(write_file(folder / "a", "second").ok());
  EXPECT_EQ(test::read_text(folder / "a"), "second");
  EXPECT_EQ(count_files(folder.path()), 1U);
}

TEST(AtomicFile, WithoutCommitTheOldContentStays) {
  const test::TempFolder folder;
  ASSERT_TRUE(write_file(folder / "a", "old").ok());
  {
    auto file = AtomicFile::create(folder / "a", 100);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(file->write("new, but never finished").ok());
  }
  EXPECT_EQ(test::read_text(folder / "a"), "old");
  EXPECT_EQ(count_files(folder.path()), 1U);
}

TEST(AtomicFile, MissingFolderIsNamed) {
  const Status status = write_file("/nonexistent_folder/a", "x");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().fault, Fault::not_found);
  EXPECT_NE(to_string(status.error()).find("/nonexistent_folder/a"), std::string::npos);
}

// A child process with a limit on file size stands for a full disk: the write fails half way.
TEST(AtomicFile, AFullDiskLeavesNothingUnderTheFinalName) {
  const test::TempFolder folder;
  const pid_t child = ::fork();
  if (child == 0) {
    install_interrupt_handlers();  // SIGXFSZ ignored: the write returns an error instead
    const rlimit limit{1 << 16, 1 << 16};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const Status status = write_file(folder / "big", std::string(1 << 20, 'x'));
    ::_exit(!status.ok() && status.error().fault == Fault::out_of_disk ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_EQ(count_files(folder.path()), 0U);
}

TEST(AtomicFile, KilledWriterLeavesNoFinalFile) {
  const test::TempFolder folder;
  const pid_t child = ::fork();
  if (child == 0) {
    auto file = AtomicFile::create(folder / "a");
    if (!file.ok() || !file->write("half").ok()) ::_exit(1);
    ::raise(SIGKILL);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_FALSE(fs::exists(folder / "a"));
  EXPECT_TRUE(write_file(folder / "a", "again").ok());
}

}  // namespace
}  // namespace quernel::sys
