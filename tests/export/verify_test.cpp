#include "export/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "export/manifest.h"
#include "export/tiny_model.h"
#include "support/temp_folder.h"

namespace quernel::exporting {
namespace {

namespace fs = std::filesystem;
using test::TinyCase;

struct Written {
  explicit Written(const std::string& format, const model::QuantizationInfo& info = test::tiny_info(4, 32, false))
      : tiny(temp.path(), info) {
    ExportOptions options;
    options.formats = {format};
    const auto written = export_checkpoints(tiny.input(), out, options, sys::null_progress());
    EXPECT_TRUE(written.ok()) << (written.ok() ? "" : to_string(written.error()));
  }

  test::TempFolder temp;
  std::string out = temp / "out";
  TinyCase tiny;
};

const Check& check_of(const Verification& verification, const std::string& name) {
  const Check* check = verification.find(name);
  static const Check kNone{"no such check", Outcome::skipped, 0, ""};
  return check != nullptr ? *check : kNone;
}

TEST(Verify, AnHonestCheckpointPasses) {
  for (const char* format : {"gptq", "awq", "compressed-tensors"}) {
    const Written written(format);
    const auto alone = verify_checkpoint(written.out);
    ASSERT_TRUE(alone.ok());
    EXPECT_TRUE(alone->passed());
    EXPECT_EQ(check_of(*alone, "dense").outcome, Outcome::skipped);
    const auto against = verify_checkpoint(written.out, &written.tiny.source);
    ASSERT_TRUE(against.ok());
    EXPECT_TRUE(against->passed());
    EXPECT_EQ(check_of(*against, "modules").compared, 14);
    EXPECT_EQ(check_of(*against, "dense").compared, 6);
    EXPECT_EQ(against->closeness.size(), 14U);
    EXPECT_GT(against->max_relative_error(), 0.02);
    EXPECT_LT(against->max_relative_error(), 0.15);
    // Rounding to nearest: half a step, and the rounding of the scale and of the zero point.
    for (const ModuleCloseness& module : against->closeness) EXPECT_LT(module.max_steps, 1.05) << module.name;
  }
}

TEST(Verify, OneFlippedBitAnywhereIsFound) {
  for (const char* format : {"gptq", "awq", "compressed-tensors"}) {
    const Written written(format);
    std::vector<std::string> files{"quernel/SHA256SUMS"};
    const auto listed = files_beneath(written.out);
    ASSERT_TRUE(listed.ok());
    files.insert(files.end(), listed->begin(), listed->end());
    std::uint64_t state = 12345;
    const auto next = [&state] { return (state = state * 6364136223846793005ULL + 1442695040888963407ULL) >> 33; };
    for (int trial = 0; trial < 250; ++trial) {
      // Small files get as many flips as the weights.
      const std::string path = written.out + "/" + files[next() % files.size()];
      const std::string whole = test::read_text(path);
      std::string damaged = whole;
      const std::size_t bit = next() % (damaged.size() * 8);
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
      test::write_text(path, damaged);
      const auto found = verify_checkpoint(written.out);
      EXPECT_FALSE(found.ok() && found->passed()) << path << " bit " << bit;
      test::write_text(path, whole);
    }
    EXPECT_TRUE(verify_checkpoint(written.out)->passed());
  }
}

TEST(Verify, MissingAndAddedFilesAreFound) {
  const Written written("gptq");
  test::write_text(written.out + "/extra.txt", "x");
  auto found = verify_checkpoint(written.out);
  ASSERT_TRUE(found.ok());
  EXPECT_THAT(check_of(*found, "files").detail, testing::HasSubstr("extra.txt"));
  fs::remove(written.out + "/extra.txt");
  fs::remove(written.out + "/LICENSE");
  found = verify_checkpoint(written.out);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(check_of(*found, "files").outcome, Outcome::failed);
  EXPECT_THAT(check_of(*found, "files").detail, testing::HasSubstr("LICENSE"));
}

// Damage whose checksums were made to fit again: the manifest still knows.
TEST(Verify, AChangedTensorIsFoundBehindNewChecksums) {
  const Written written("compressed-tensors");
  const std::string path = written.out + "/model.safetensors";
  std::string bytes = test::read_text(path);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 4);
  test::write_text(path, bytes);
  ASSERT_TRUE(write_checksums(written.out).ok());
  const auto found = verify_checkpoint(written.out);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(check_of(*found, "files").outcome, Outcome::passed);
  EXPECT_EQ(check_of(*found, "tensors").outcome, Outcome::failed);
}

// A writer that lies consistently: hashes of what was written, but not of what was computed.
TEST(Verify, AnotherResultIsNamedByModuleAndPlace) {
  const Written written("gptq");
  model::QuantizedModel other = written.tiny.result;
  const std::string name = "model.layers.1.mlp.up_proj";
  codec::IntegerMatrix& matrix = other.modules.at(name);
  matrix.codes[3 * 64 + 7] = static_cast<std::uint8_t>(matrix.codes[3 * 64 + 7] ^ 1);
  const auto found = verify_result(written.out, input_of(written.tiny.source, other));
  ASSERT_TRUE(found.ok());
  EXPECT_FALSE(found->passed());
  EXPECT_THAT(check_of(*found, "results").detail, testing::HasSubstr(name + ": codes differ in row 3, column 7"));
}

TEST(Verify, AnotherSourceIsFound) {
  const Written written("gptq");
  test::write_tiny_model(written.temp / "other", {});
  std::string bytes = test::read_text(written.temp / "other/model.safetensors");
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  test::write_text(written.temp / "other/model.safetensors", bytes);
  const auto other = model::Checkpoint::open(written.temp / "other");
  ASSERT_TRUE(other.ok());
  const auto found = verify_checkpoint(written.out, &*other);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(check_of(*found, "dense").outcome, Outcome::failed);
  EXPECT_THAT(check_of(*found, "dense").detail, testing::HasSubstr("byte"));
}

TEST(Verify, WeightsFarFromTheSourceAreFound) {
  Written written("gptq");
  model::QuantizedModel far = written.tiny.result;
  codec::IntegerMatrix& matrix = far.modules.at("model.layers.0.self_attn.q_proj");
  std::reverse(matrix.codes.begin(), matrix.codes.end());
  ExportOptions options;
  options.formats = {"gptq"};
  options.existing = Existing::overwrite;
  ASSERT_TRUE(export_checkpoints(input_of(written.tiny.source, far), written.out, options, sys::null_progress()).ok());
  const auto found = verify_checkpoint(written.out, &written.tiny.source);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(check_of(*found, "modules").outcome, Outcome::passed);
  EXPECT_EQ(check_of(*found, "closeness").outcome, Outcome::failed);
  EXPECT_THAT(check_of(*found, "closeness").detail, testing::HasSubstr("layers.0.self_attn.q_proj"));
}

// One large weight a row makes the step of 8 bits large beside the rest: much error, and yet the best there is.
TEST(Verify, StretchedGridsAreNoFault) {
  const test::TempFolder temp;
  const TinyCase tiny(temp.path(), test::tiny_info(8, -1, true), {.intermediate = 1536, .outlier = 2.0F});
  ExportOptions options;
  options.formats = {"gptq"};
  ASSERT_TRUE(export_checkpoints(tiny.input(), temp / "out", options, sys::null_progress()).ok());
  const auto found = verify_checkpoint(temp / "out", &tiny.source);
  ASSERT_TRUE(found.ok());
  EXPECT_GT(found->max_relative_error(), closeness_bound(8));
  EXPECT_EQ(check_of(*found, "closeness").outcome, Outcome::passed);
}

TEST(Verify, AnUnfinishedFolderFails) {
  const test::TempFolder temp;
  ASSERT_TRUE(prepare_output(temp / "out", temp / "source", Existing::refuse, "quernel test").ok());
  const auto found = verify_checkpoint(temp / "out");
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(check_of(*found, "manifest").outcome, Outcome::failed);
  EXPECT_FALSE(verify_checkpoint(temp.path()).ok());
}

}  // namespace
}  // namespace quernel::exporting
