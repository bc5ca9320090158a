#include "export/output_folder.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/sha256.h"
#include "export/manifest.h"
#include "support/temp_folder.h"

namespace quernel::exporting {
namespace {

namespace fs = std::filesystem;

std::string message_of(const Status& status) { return status.ok() ? "ok" : status.error().message; }

TEST(OutputFolder, NewAndEmptyFoldersAreTaken) {
  const test::TempFolder temp;
  fs::create_directories(temp / "source");
  fs::create_directories(temp / "empty");
  EXPECT_TRUE(check_output(temp / "new", temp / "source", Existing::refuse).ok());
  EXPECT_TRUE(check_output(temp / "new/deep/er", temp / "source", Existing::refuse).ok());
  EXPECT_TRUE(check_output(temp / "empty", temp / "source", Existing::refuse).ok());
  EXPECT_FALSE(fs::exists(temp / "new"));
}

TEST(OutputFolder, ForeignFoldersAndFilesAreRefusedWhateverIsAsked) {
  const test::TempFolder temp;
  fs::create_directories(temp / "source");
  fs::create_directories(temp / "foreign");
  test::write_text(temp / "foreign/config.json", "{}");
  test::write_text(temp / "file", "x");
  for (const Existing existing : {Existing::refuse, Existing::overwrite}) {
    EXPECT_EQ(message_of(check_output(temp / "foreign", temp / "source", existing)),
              "output folder is not empty and was not written by quernel");
    EXPECT_EQ(message_of(check_output(temp / "file", temp / "source", existing)), "output is not a folder");
    EXPECT_FALSE(check_output("", temp / "source", existing).ok());
  }
  EXPECT_EQ(test::read_text(temp / "foreign/config.json"), "{}");
}

TEST(OutputFolder, NeverInTheSourceNorAroundIt) {
  const test::TempFolder temp;
  fs::create_directories(temp / "models/source");
  test::write_text(temp / "models/model.gguf", "x");
  fs::create_directory_symlink(temp / "models/source", temp / "alias");
  for (const std::string out :
       {"models/source", "models/source/out", "models/../models/source/out", "alias", "alias/out"}) {
    EXPECT_EQ(message_of(check_output(temp / out, temp / "models/source", Existing::overwrite)),
              "output folder lies inside the source model")
        << out;
  }
  EXPECT_EQ(message_of(check_output(temp / "models", temp / "models/source", Existing::overwrite)),
            "output folder holds the source model");
  EXPECT_EQ(message_of(check_output(temp / "models", temp / "models/model.gguf", Existing::overwrite)),
            "output folder holds the source model");
  EXPECT_TRUE(check_output(temp / "models/source2", temp / "models/source", Existing::refuse).ok());
  EXPECT_TRUE(check_output(temp / "models/out", temp / "models/model.gguf", Existing::refuse).ok());
}

TEST(OutputFolder, OursIsTakenOnlyWhenAsked) {
  const test::TempFolder temp;
  ASSERT_TRUE(prepare_output(temp / "out", temp / "source", Existing::refuse, "quernel test").ok());
  const auto mark = read_manifest(temp / "out");
  ASSERT_TRUE(mark.ok());
  EXPECT_FALSE(mark->complete);
  EXPECT_EQ(message_of(check_output(temp / "out", temp / "source", Existing::refuse)),
            "output folder already holds a checkpoint");
  EXPECT_TRUE(check_output(temp / "out", temp / "source", Existing::overwrite).ok());
}

TEST(OutputFolder, ClearsItsOwnFilesAndNoOthers) {
  const test::TempFolder temp;
  const std::string out = temp / "out";
  fs::create_directories(out + "/quernel");
  fs::create_directories(out + "/gptq/quernel");
  fs::create_directories(out + "/mine");
  Manifest manifest;
  manifest.files = {"tokenizer.json", "../outside", "mine/model.safetensors"};
  manifest.formats = {"gptq", "../outside"};
  ASSERT_TRUE(write_manifest(out, manifest).ok());
  Manifest inner;
  inner.files = {"config.json", "README.md"};
  ASSERT_TRUE(write_manifest(out + "/gptq", inner).ok());
  const std::vector<std::string> ours{"config.json",
                                      "tokenizer.json",
                                      "model-00001-of-00002.safetensors",
                                      "model.safetensors.index.json",
                                      "model.safetensors.tmp.123",
                                      "quernel/SHA256SUMS",
                                      "model.packed",
                                      "gptq/model.packed",
                                      "gptq/README.md",
                                      "gptq/model.safetensors"};
  const std::vector<std::string> kept{"notes.txt", "mine/model.safetensors", "quernel/report.json", "data.tmp.x"};
  for (const auto& name : ours) test::write_text(out + "/" + name, "x");
  for (const auto& name : kept) test::write_text(out + "/" + name, "x");
  test::write_text(temp / "outside", "x");
  ASSERT_TRUE(prepare_output(out, temp / "source", Existing::overwrite, "quernel test").ok());
  for (const auto& name : ours) EXPECT_FALSE(fs::exists(out + "/" + name)) << name;
  for (const auto& name : kept) EXPECT_TRUE(fs::exists(out + "/" + name)) << name;
  EXPECT_TRUE(fs::exists(temp / "outside"));
  EXPECT_FALSE(fs::exists(out + "/gptq"));
}

TEST(OutputFolder, ChecksumsAreWhatSha256sumReads) {
  const test::TempFolder temp;
  fs::create_directories(temp / "out/quernel");
  test::write_text(temp / "out/b", "two");
  test::write_text(temp / "out/a", "");
  test::write_text(temp / "out/quernel/c", "three");
  test::write_text(temp / "out/model.packed", "of the runtime, not of the checkpoint");
  ASSERT_TRUE(write_checksums(temp / "out").ok());
  EXPECT_EQ(test::read_text(temp / "out/quernel/SHA256SUMS"),
            sha256_hex(std::string_view("")) + "  a\n" + sha256_hex(std::string_view("two")) + "  b\n" +
                sha256_hex(std::string_view("three")) + "  quernel/c\n");
}

TEST(OutputFolder, LinksInACheckpointAreRefused) {
  const test::TempFolder temp;
  fs::create_directories(temp / "out");
  fs::create_symlink("/etc/passwd", temp / "out/tokenizer.json");
  EXPECT_FALSE(checksums_of(temp / "out").ok());
}

// A writer killed while it wrote its first manifest leaves its own folder and a temporary; that must not lock the job out.
TEST(OutputFolder, LeftoversOfAKilledWriterCountAsEmpty) {
  const test::TempFolder folder;
  std::filesystem::create_directories(folder / "out/quernel");
  EXPECT_TRUE(check_output(folder / "out", folder / "source", Existing::refuse).ok());
  test::write_text(folder / "out/quernel/manifest.json.tmp.123", "{");
  EXPECT_TRUE(check_output(folder / "out", folder / "source", Existing::refuse).ok());
  test::write_text(folder / "out/quernel/notes.txt", "mine");
  EXPECT_FALSE(check_output(folder / "out", folder / "source", Existing::refuse).ok());
}

}  // namespace
}  // namespace quernel::exporting
