#include "pipeline/work_dir.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "pipeline/fingerprint.h"
#include "support/temp_folder.h"

namespace quernel::pipeline {
namespace {

namespace fs = std::filesystem;

const Json kJob{{"method", "gptq"}, {"options", {{"bits", "4"}, {"damp", "0.01"}}}};
const Json kOtherJob{{"method", "gptq"}, {"options", {{"bits", "3"}, {"damp", "0.01"}}}};

TEST(Fingerprint, NamesTheFirstFieldThatDiffers) {
  EXPECT_FALSE(first_difference(kJob, kJob).has_value());
  const auto difference = first_difference(kJob, kOtherJob);
  ASSERT_TRUE(difference.has_value());
  EXPECT_EQ(difference->field, "options.bits");
  EXPECT_EQ(difference->stored, "\"4\"");
  EXPECT_EQ(difference->wanted, "\"3\"");
  EXPECT_EQ(first_difference({{"a", 1}}, {{"a", 1}, {"b", 2}})->field, "b");
  EXPECT_EQ(first_difference({{"a", 1}, {"b", 2}}, {{"a", 1}})->field, "b");
}

TEST(Fingerprint, IdentifiesFilesByContent) {
  const test::TempFolder folder;
  test::write_text(folder / "a.txt", "abc");
  const auto files = identify_files({folder / "a.txt"});
  ASSERT_TRUE(files.ok());
  EXPECT_EQ(files->front().name, "a.txt");
  EXPECT_EQ(files->front().bytes, 3U);
  EXPECT_EQ(files->front().sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(identify_files({folder / "none"}).error().fault, Fault::not_found);
}

TEST(WorkDir, ResumesItsOwnJobAndRefusesAnother) {
  const test::TempFolder folder;
  const std::string path = folder / "out.job";
  {
    auto work = WorkDir::open(path, kJob, Leftover::refuse);
    ASSERT_TRUE(work.ok()) << to_string(work.error());
    test::write_text(work->layers_folder() + "/finished", "x");
    test::write_text(work->layers_folder() + "/half.tmp.123", "x");
  }
  const auto other = WorkDir::open(path, kOtherJob, Leftover::resume);
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().fault, Fault::incompatible_state);
  EXPECT_EQ(other.error().field, "options.bits");
  EXPECT_EQ(WorkDir::open(path, kJob, Leftover::refuse).error().fault, Fault::incompatible_state);
  auto again = WorkDir::open(path, kJob, Leftover::resume);
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(fs::exists(again->layers_folder() + "/finished"));
  EXPECT_FALSE(fs::exists(again->layers_folder() + "/half.tmp.123"));
  EXPECT_TRUE(WorkDir::exists(path));
  ASSERT_TRUE(again->remove().ok());
  EXPECT_FALSE(fs::exists(path));
  EXPECT_FALSE(WorkDir::exists(path));
  fs::create_directories(path + ".finished/layers");
  WorkDir::remove_leaving(path);
  EXPECT_FALSE(fs::exists(path + ".finished"));
}

TEST(WorkDir, DiscardsTheWorkOfAnotherJobWhereAsked) {
  const test::TempFolder folder;
  const std::string path = folder / "out.job";
  {
    const auto work = WorkDir::open(path, kJob, Leftover::refuse);
    ASSERT_TRUE(work.ok());
    test::write_text(work->layers_folder() + "/finished", "x");
    test::write_text(work->hidden_path(3), "x");
  }
  {
    const auto work = WorkDir::open(path, kOtherJob, Leftover::discard);
    ASSERT_TRUE(work.ok()) << to_string(work.error());
    EXPECT_FALSE(fs::exists(work->layers_folder() + "/finished"));
    EXPECT_FALSE(work->newest_hidden().has_value());
  }
  EXPECT_TRUE(WorkDir::open(path, kOtherJob, Leftover::resume).ok());
}

TEST(WorkDir, OneProcessAtATime) {
  const test::TempFolder folder;
  const auto first = WorkDir::open(folder / "job", kJob, Leftover::refuse);
  ASSERT_TRUE(first.ok());
  const auto second = WorkDir::open(folder / "job", kJob, Leftover::resume);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().fault, Fault::incompatible_state);
}

TEST(WorkDir, AForeignFolderIsLeftAlone) {
  const test::TempFolder folder;
  test::write_text(folder / "holiday.jpg", "x");
  EXPECT_FALSE(WorkDir::open(folder.path(), kJob, Leftover::resume).ok());
  EXPECT_TRUE(fs::exists(folder / "holiday.jpg"));
  EXPECT_FALSE(fs::exists(folder / "state.json"));
}

TEST(WorkDir, KnowsTheNewestBoundary) {
  const test::TempFolder folder;
  const auto work = WorkDir::open(folder / "job", kJob, Leftover::refuse);
  ASSERT_TRUE(work.ok());
  EXPECT_FALSE(work->newest_hidden().has_value());
  test::write_text(work->hidden_path(2), "x");
  test::write_text(work->hidden_path(11), "x");
  EXPECT_EQ(work->newest_hidden(), 11);
  work->drop_hidden_before(11);
  EXPECT_FALSE(fs::exists(work->hidden_path(2)));
  EXPECT_TRUE(fs::exists(work->hidden_path(11)));
}

}  // namespace
}  // namespace quernel::pipeline
