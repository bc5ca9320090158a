#include "export/hf_checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <tuple>

#include "base/json.h"
#include "base/sha256.h"
#include "export/manifest.h"
#include "export/tiny_model.h"
#include "export/verify.h"
#include "support/temp_folder.h"

namespace quernel::exporting {
namespace {

namespace fs = std::filesystem;
using test::TinyCase;

ExportOptions options_of(std::vector<std::string> formats) {
  ExportOptions options;
  options.formats = std::move(formats);
  return options;
}

Status export_to(const TinyCase& tiny, const std::string& out, const ExportOptions& options) {
  auto written = export_checkpoints(tiny.input(), out, options, sys::null_progress());
  if (!written.ok()) return std::move(written).error();
  return ok_status();
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  return names;
}

using Case = std::tuple<std::string, int, std::int64_t, bool, bool>;  // format, bits, group size, symmetric, act-order

class ExportRoundTrip : public testing::TestWithParam<Case> {};

// Written, read back by the reader, compared bit for bit.
TEST_P(ExportRoundTrip, ReaderGivesTheSameMatrices) {
  const auto& [format, bits, group_size, symmetric, scattered] = GetParam();
  const test::TempFolder temp;
  model::QuantizationInfo info = test::tiny_info(bits, group_size, symmetric);
  info.act_order = scattered;
  info.static_groups = !scattered;
  const TinyCase tiny(temp.path(), info);
  const std::string out = temp / "out";
  const Status status = export_to(tiny, out, options_of({format}));
  const bool whole_groups = group_size == -1 || (64 % group_size == 0 && 96 % group_size == 0);
  const bool holdable = format == "gptq" || (!scattered && whole_groups && (format != "awq" || bits == 4));
  ASSERT_EQ(status.ok(), holdable) << (status.ok() ? "" : to_string(status.error()));
  if (!holdable) {
    EXPECT_EQ(status.error().fault, Fault::unsupported);
    EXPECT_FALSE(fs::exists(out));
    return;
  }
  const auto verified = verify_result(out, tiny.input());
  ASSERT_TRUE(verified.ok()) << to_string(verified.error());
  for (const Check& check : verified->checks) {
    EXPECT_EQ(check.outcome, Outcome::passed) << check.name << ": " << check.detail;
  }
  EXPECT_EQ(verified->find("results")->compared, 14);
  const auto reopened = model::Checkpoint::open(out);
  ASSERT_TRUE(reopened.ok());
  ASSERT_TRUE(reopened->quantization().has_value());
  EXPECT_EQ(reopened->quantization()->bits, bits);
  EXPECT_EQ(reopened->quantization()->symmetric, symmetric && format != "awq");  // which stores zeros of 8
}

INSTANTIATE_TEST_SUITE_P(All, ExportRoundTrip,
                         testing::Combine(testing::Values("gptq", "awq", "compressed-tensors"),
                                          testing::Values(2, 3, 4, 8), testing::Values(-1, 32, 40, 128),
                                          testing::Bool(), testing::Bool()));

TEST(HfCheckpoint, CarriesBiasesAndTheHead) {
  const test::TempFolder temp;
  test::TinyOptions tiny_options;
  tiny_options.attention_bias = true;
  tiny_options.tied = false;
  tiny_options.dtype = DType::bf16;
  const TinyCase tiny(temp.path(), test::tiny_info(4, 32, true), tiny_options);
  ASSERT_TRUE(export_to(tiny, temp / "out", options_of({"gptq", "awq", "compressed-tensors"})).ok());
  for (const char* format : {"gptq", "awq", "compressed-tensors"}) {
    const auto written = model::Checkpoint::open(temp / "out" + "/" + format);
    ASSERT_TRUE(written.ok()) << to_string(written.error());
    for (const char* name : {"model.layers.1.self_attn.k_proj.bias", "lm_head.weight", "model.norm.weight"}) {
      const auto expected = tiny.source.view(name);
      const auto found = written->view(name);
      ASSERT_TRUE(expected.ok() && found.ok()) << name;
      EXPECT_EQ(found->dtype, DType::bf16);
      EXPECT_TRUE(std::equal(expected->bytes.begin(), expected->bytes.end(), found->bytes.begin(), found->bytes.end()))
          << name;
    }
  }
  const auto all = verify_output(temp / "out", &tiny.source);
  ASSERT_TRUE(all.ok());
  ASSERT_EQ(all->size(), 4U);
  for (const Verification& one : *all) EXPECT_TRUE(one.passed()) << one.folder;
}

TEST(HfCheckpoint, SomeModulesStayDense) {
  const test::TempFolder temp;
  TinyCase tiny(temp.path(), test::tiny_info(4, 32, false));
  const std::string dense = "model.layers.0.mlp.down_proj";
  tiny.result.modules.erase(dense);
  for (const char* format : {"gptq", "awq", "compressed-tensors"}) {
    const std::string out = temp / format;
    ASSERT_TRUE(export_to(tiny, out, options_of({format})).ok());
    const auto verified = verify_result(out, tiny.input());
    ASSERT_TRUE(verified.ok());
    EXPECT_TRUE(verified->passed());
    const auto written = model::Checkpoint::open(out);
    ASSERT_TRUE(written.ok());
    EXPECT_FALSE(written->is_quantized(dense));
    EXPECT_THAT(test::read_text(out + "/config.json"), testing::HasSubstr("down_proj"));
  }
}

TEST(HfCheckpoint, ConfigKeepsTheSourceAndGainsOneKey) {
  const test::TempFolder temp;
  const TinyCase tiny(temp.path(), test::tiny_info(4, 32, true));
  ASSERT_TRUE(export_to(tiny, temp / "out", options_of({"gptq"})).ok());
  const auto source = parse_json(test::read_text(temp / "source/config.json"), "source");
  const auto found = parse_json(test::read_text(temp / "out/config.json"), "out");
  const auto alone = parse_json(test::read_text(temp / "out/quantize_config.json"), "out");
  ASSERT_TRUE(source.ok() && found.ok() && alone.ok());
  Json expected = *source;
  expected["quantization_config"] = *alone;
  EXPECT_EQ(dump_json(*found), dump_json(expected));
  EXPECT_EQ(test::read_text(temp / "out/tokenizer.json"), test::read_text(temp / "source/tokenizer.json"));
  EXPECT_EQ(test::read_text(temp / "out/LICENSE"), "free\n");
  EXPECT_THAT(test::read_text(temp / "out/generation_config.json"), testing::HasSubstr("\"eos_token_id\": 2"));
}

// The formula of the tiny model fixes every byte; a change of the layout, the order or the header shows here.
TEST(HfCheckpoint, GoldenBytes) {
  const test::TempFolder temp;
  const TinyCase tiny(temp.path(), test::tiny_info(4, 32, true));
  ASSERT_TRUE(export_to(tiny, temp / "out", options_of({"gptq", "awq", "compressed-tensors"})).ok());
  EXPECT_EQ(sha256_hex(test::read_text(temp / "out/awq/model.safetensors")),
            "df212b0caf6962bfe905271e2537264aa9eea617afdf58cf31ca2e9a7e4d2e08");
  EXPECT_EQ(sha256_hex(test::read_text(temp / "out/gptq/model.safetensors")),
            "105585b502f13067b084cae3fa261eddee186d5ea7747912ccd415079288d744");
  EXPECT_EQ(sha256_hex(test::read_text(temp / "out/compressed-tensors/model.safetensors")),
            "ca7f5f888429ac8d7fe370a00b2c17596407d558a0f284f1dfbe12b023b23bc5");
}

TEST(HfCheckpoint, ShardsHoldTheSameTensors) {
  const test::TempFolder temp;
  const TinyCase tiny(temp.path(), test::tiny_info(3, 32, false));
  ExportOptions options = options_of({"gptq"});
  options.max_shard_bytes = 20'000;
  ASSERT_TRUE(export_to(tiny, temp / "out", options).ok());
  EXPECT_TRUE(fs::exists(temp / "out/model.safetensors.index.json"));
  EXPECT_FALSE(fs::exists(temp / "out/model.safetensors"));
  const auto verified = verify_result(temp / "out", tiny.input());
  ASSERT_TRUE(verified.ok());
  EXPECT_TRUE(verified->passed());
  // One shard again, over the old folder: nothing of the old set may stay.
  ExportOptions again = options_of({"gptq"});
  again.existing = Existing::overwrite;
  ASSERT_TRUE(export_to(tiny, temp / "out", again).ok());
  EXPECT_FALSE(fs::exists(temp / "out/model.safetensors.index.json"));
  for (const std::string& name : names_in(temp / "out")) EXPECT_THAT(name, testing::Not(testing::HasSubstr("-of-")));
  EXPECT_TRUE(verify_result(temp / "out", tiny.input())->passed());
}

TEST(HfCheckpoint, SameInputSameBytes) {
  const test::TempFolder temp;
  const TinyCase tiny(temp.path(), test::tiny_info(8, 64, false));
  ASSERT_TRUE(export_to(tiny, temp / "a", options_of({"gptq"})).ok());
  ASSERT_TRUE(export_to(tiny, temp / "b", options_of({"gptq"})).ok());
  EXPECT_EQ(test::read_text(temp / "a/quernel/SHA256SUMS"), test::read_text(temp / "b/quernel/SHA256SUMS"));
}

// Export, read, export what was read: the same bytes.
TEST(HfCheckpoint, ReExportIsByteEqual) {
  const test::TempFolder temp;
  const TinyCase tiny(temp.path(), test::tiny_info(4, 16, false));
  for (const std::string format : {"gptq", "awq", "compressed-tensors"}) {
    const std::string first = temp / (format + "1");
    const std::string second = temp / (format + "2");
    ASSERT_TRUE(export_to(tiny, first, options_of({format})).ok());
    const auto written = model::Checkpoint::open(first);
    ASSERT_TRUE(written.ok());
    model::QuantizedModel read;
    read.info = *written->quantization();
    read.info.method = "rtn";
    for (const auto& [name, matrix] : tiny.result.modules) {
      auto back = written->read_quantized(name);
      ASSERT_TRUE(back.ok());
      read.modules.emplace(name, std::move(*back));
    }
    const auto again = export_checkpoints(input_of(*written, read), second, options_of({format}), sys::null_progress());
    ASSERT_TRUE(again.ok()) << to_string(again.error());
    EXPECT_EQ(sha256_hex(test::read_text(first + "/model.safetensors")),
              sha256_hex(test::read_text(second + "/model.safetensors")));
  }
}

TEST(HfCheckpoint, RefusesAMatrixThatIsNotAsPlanned) {
  const test::TempFolder temp;
  TinyCase tiny(temp.path(), test::tiny_info(4, 32, true));
  tiny.result.modules.begin()->second.scales[0] = std::numeric_limits<float>::quiet_NaN();
  const Status status = export_to(tiny, temp / "out", options_of({"gptq"}));
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().tensor, tiny.result.modules.begin()->first);
  EXPECT_FALSE(fs::exists(temp / "out/config.json"));
  EXPECT_FALSE(fs::exists(temp / "out/model.safetensors"));
}

TEST(HfCheckpoint, RefusesUnknownModules) {
  const test::TempFolder temp;
  const TinyCase tiny(temp.path(), test::tiny_info(4, 32, true));
  ExportInput input = tiny.input();
  input.modules.push_back("lm_head");
  const auto written = export_checkpoints(input, temp / "out", options_of({"gptq"}), sys::null_progress());
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().tensor, "lm_head");
  EXPECT_FALSE(fs::exists(temp / "out"));
}

// Runs the body in a child; its exit status.
template <class Body>
int run_child(const Body& body) {
  const pid_t child = fork();
  if (child == 0) {
    body();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

// The largest file that may be written is a limit that stands in for a full disk.
TEST(HfCheckpoint, FullDiskLeavesNoFinalFileAndTheJobCanGoOn) {
  const test::TempFolder temp;
  const TinyCase tiny(temp.path(), test::tiny_info(4, 32, true));
  for (const rlim_t limit : {rlim_t{100}, rlim_t{10'000}, rlim_t{30'000}}) {
    const std::string out = temp / ("out" + std::to_string(limit));
    const int status = run_child([&] {
      signal(SIGXFSZ, SIG_IGN);
      const rlimit size{limit, limit};
      setrlimit(RLIMIT_FSIZE, &size);
      const Status failed = export_to(tiny, out, options_of({"gptq"}));
      if (failed.ok()) _exit(1);
      if (failed.error().fault != Fault::out_of_disk) _exit(2);
    });
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0) << limit;
    EXPECT_FALSE(fs::exists(out + "/model.safetensors")) << limit;
    EXPECT_FALSE(fs::exists(out + "/config.json")) << limit;
    if (!fs::exists(out)) continue;
    for (const std::string& name : names_in(out)) EXPECT_THAT(name, testing::Not(testing::HasSubstr(".tmp."))) << limit;
    ExportOptions again = options_of({"gptq"});
    again.existing = Existing::overwrite;
    if (fs::is_empty(out + "/quernel")) continue;  // even the mark did not fit: nothing of ours, refused as any folder
    ASSERT_TRUE(export_to(tiny, out, again).ok());
    EXPECT_TRUE(verify_result(out, tiny.input())->passed());
  }
}

// Killed while the n-th module is asked for: no file under a final name is partial, and a new run gives the bytes of an
// undisturbed one.
TEST(HfCheckpoint, KilledAtAnyModuleAndStartedAgainGivesTheSameBytes) {
  const test::TempFolder temp;
  const TinyCase tiny(temp.path(), test::tiny_info(4, 32, false));
  ExportOptions options = options_of({"compressed-tensors"});
  options.max_shard_bytes = 20'000;
  ASSERT_TRUE(export_to(tiny, temp / "whole", options).ok());
  const std::string expected = test::read_text(temp / "whole/quernel/SHA256SUMS");
  const auto whole = read_manifest(temp / "whole");
  ASSERT_TRUE(whole.ok());
  const std::string out = temp / "out";
  options.existing = Existing::overwrite;
  for (int victim = 1; victim <= 56; victim += 5) {
    const int status = run_child([&] {
      int asked = 0;
      ExportInput input = tiny.input();
      input.read = [&, read = input.read](const std::string& module) {
        if (++asked == victim) raise(SIGKILL);
        return read(module);
      };
      (void)export_checkpoints(input, out, options, sys::null_progress());
    });
    ASSERT_TRUE(WIFSIGNALED(status)) << victim;
    EXPECT_FALSE(fs::exists(out + "/config.json")) << "an engine could load it, killed at " << victim;
    const auto marked = read_manifest(out);
    ASSERT_TRUE(marked.ok());
    EXPECT_FALSE(marked->complete);
    for (const std::string& name : names_in(out)) {
      if (!name.ends_with(".safetensors")) continue;
      EXPECT_EQ(sha256_hex(test::read_text(out + "/" + name)), sha256_hex(test::read_text(temp / "whole/" + name)))
          << name;
    }
  }
  ASSERT_TRUE(export_to(tiny, out, options).ok());
  EXPECT_EQ(test::read_text(out + "/quernel/SHA256SUMS"), expected);
  for (const std::string& name : names_in(out)) EXPECT_THAT(name, testing::Not(testing::HasSubstr(".tmp.")));
}

}  // namespace
}  // namespace quernel::exporting
