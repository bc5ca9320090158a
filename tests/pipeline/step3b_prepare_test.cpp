#include "pipeline/step3b_prepare.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "calib/sampling.h"
#include "pipeline/logit_check.h"
#include "pipeline/prepared_writer.h"
#include "runtime/model_fixture.h"
#include "runtime/tiny_model.h"
#include "support/temp_folder.h"
#include "sys/mapped_file.h"

namespace quernel::pipeline {
namespace {

class SilentSink final : public sys::ProgressSink {
 public:
  void on_progress(const sys::ProgressEvent&) override {}
  void on_note(const std::string&) override {}
  void on_warning(const std::string&) override {}
};

CalibrationSet calibration_of(std::int64_t vocab) {
  calib::SamplingOptions options;
  options.count = 6;
  options.length = 40;
  options.mode = calib::SampleMode::first;
  CalibrationSet set;
  set.samples = calib::sample_windows(test::random_tokens(6 * 40, vocab, 3), options).value();
  return set;
}

// A tiny model in a folder, and a job on it that goes as far as step 3b.
class Bench {
 public:
  explicit Bench(const test::TinyModel& tiny) : calibration_(calibration_of(tiny.vocab)) {
    tiny.write(model_.path());
    job_.source = model_.path();
    job_.method = "rtn";
    job_.grid.group_size = 8;
    job_.grid.scale_dtype = DType::f32;
  }

  Result<std::optional<Prepared>> prepare(const std::string& preprocess, const Json& identity = {{"job", 1}}) {
    job_.transform.chain = transform::parse_preprocess(preprocess).value();
    QUERNEL_TRY(const LoadedSource source, step1_load(job_));
    QUERNEL_TRY(const JobPlan plan, step3_plan(job_, source));
    QUERNEL_TRY(const WorkDir work, WorkDir::open(work_.path() + "/job", identity, Leftover::resume));
    sys::ThreadPool pool(2);
    sys::MemoryBudget budget(0);
    SilentSink sink;
    return step3b_prepare({.source = source,
                           .plan = plan,
                           .calibration = needs_calibration(plan) ? &calibration_ : nullptr,
                           .precision = runtime::Precision::f32,
                           .identity = identity,
                           .work = work,
                           .pool = pool,
                           .budget = budget,
                           .progress = sink});
  }
  [[nodiscard]] std::string folder() const { return work_.path() + "/job/prepared"; }
  QuantizeJob& job() { return job_; }
  [[nodiscard]] std::string model() const { return model_.path(); }

 private:
  test::TempFolder model_;
  test::TempFolder work_;
  QuantizeJob job_;
  CalibrationSet calibration_;
};

std::string bytes_of(const std::string& path) {
  const auto file = sys::MappedFile::open(path).value();
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

bool has_post_norms(const test::TinyModel& tiny) { return tiny.norm_after; }

TEST(Prepare, KeepsWhatEveryArchitectureComputes) {
  for (const test::TinyModel& tiny : test::tiny_models())
    for (const char* preprocess : {"smoothquant", "awq", "reorder", "quarot", "smoothquant+quarot", "reorder+quarot"}) {
      SCOPED_TRACE(tiny.architecture + " " + preprocess);
      Bench bench(tiny);
      const auto prepared = bench.prepare(preprocess);
      const bool rotates = std::string(preprocess).find("quarot") != std::string::npos;
      if (rotates && has_post_norms(tiny)) {
        ASSERT_FALSE(prepared.ok());
        EXPECT_EQ(prepared.error().fault, Fault::unsupported);
        EXPECT_NE(to_string(prepared.error()).find("residual stream"), std::string::npos);
        continue;
      }
      ASSERT_TRUE(prepared.ok()) << to_string(prepared.error());
      const PrepareReport& report = (*prepared)->report;
      EXPECT_LT(report.logits_max_abs, 1e-4);
      EXPECT_GT(report.logits_max_abs, 0.0);  // something was changed
      EXPECT_EQ((*prepared)->source.checkpoint.config().tie_word_embeddings, tiny.tied && !rotates);
      EXPECT_TRUE((*prepared)->source.checkpoint.extra_tensors().empty());
    }
}

TEST(Prepare, RotationsWhileItRunsKeepTheFunctionToo) {
  for (const test::TinyModel& tiny : test::tiny_models()) {
    if (has_post_norms(tiny)) continue;
    SCOPED_TRACE(tiny.architecture);
    Bench bench(tiny);
    bench.job().method = "qoq";
    bench.job().formats = {"quernel"};
    bench.job().grid.scale_dtype = DType::f16;
    bench.job().transform.quarot_qk = bench.job().transform.quarot_down = true;
    const auto prepared = bench.prepare("quarot");
    ASSERT_TRUE(prepared.ok()) << to_string(prepared.error());
    EXPECT_LT((*prepared)->report.logits_max_abs, 1e-4);
    const model::ModelConfig& config = (*prepared)->source.checkpoint.config();
    EXPECT_TRUE(config.online_qk_hadamard && config.online_down_hadamard);
    bench.job().formats = {"gptq"};
    bench.job().method = "rtn";
    EXPECT_EQ(bench.prepare("quarot").error().fault, Fault::unsupported);
  }
}

TEST(Prepare, NothingAskedForNothingDone) {
  Bench bench(test::tiny_models().front());
  EXPECT_FALSE(bench.prepare("none").value().has_value());
  EXPECT_FALSE(std::filesystem::exists(bench.folder()));
}

TEST(Prepare, OnceFinishedItIsUsedAgain) {
  Bench bench(test::tiny_models().front());
  EXPECT_FALSE(bench.prepare("awq").value()->report.resumed);
  const std::string weights = bytes_of(bench.folder() + "/model.safetensors");
  const auto again = bench.prepare("awq");
  EXPECT_TRUE((*again)->report.resumed);
  EXPECT_EQ((*again)->report.sites.size(), 4U);
  // A kill before the marker: made anew, to the same bytes.
  std::filesystem::remove(bench.folder() + "/prepared.json");
  EXPECT_FALSE(bench.prepare("awq").value()->report.resumed);
  EXPECT_EQ(bytes_of(bench.folder() + "/model.safetensors"), weights);
  // Another job's is not taken.
  EXPECT_FALSE(bench.prepare("awq", {{"job", 2}}).value()->report.resumed);
}

TEST(Prepare, DenseTensorsKeepTheTypeOfTheSource) {
  test::TinyModel tiny = test::tiny_llama();
  tiny.dtype = DType::bf16;
  tiny.tied = true;
  tiny.draw(5);
  Bench bench(tiny);
  bench.job().ignore = {"layers\\.1\\.mlp\\.down_proj"};
  const auto prepared = bench.prepare("quarot");
  ASSERT_TRUE(prepared.ok()) << to_string(prepared.error());
  const model::Checkpoint& checkpoint = (*prepared)->source.checkpoint;
  EXPECT_EQ(checkpoint.find("model.layers.0.mlp.down_proj.weight")->stored_type, "F32");
  EXPECT_EQ(checkpoint.find("model.layers.1.mlp.down_proj.weight")->stored_type, "BF16");
  EXPECT_EQ(checkpoint.find("lm_head.weight")->stored_type, "BF16");
  EXPECT_EQ(checkpoint.find("model.norm.weight")->stored_type, "BF16");
  EXPECT_EQ(checkpoint.config().stored_dtype, "bfloat16");
  // The change itself is exact; the rounding of the embedding is told apart from it.
  EXPECT_LT((*prepared)->report.logits_max_abs, 1e-4);
  EXPECT_GT((*prepared)->report.logits_max_abs_rounded, 1e-3);
}

TEST(Prepare, AModelThatChangedIsRefused) {
  // Two heads' worth of wrong: the comparison itself, on a change that is none.
  class Broken final : public transform::ModelChange {
   public:
    void change_layer(runtime::LayerWeights& weights, sys::ThreadPool&) const override {
      weights.mlp_norm.front() *= 1.5F;
    }
  } broken;
  Bench bench(test::tiny_models().front());
  const auto source = model::Checkpoint::open(bench.model()).value();
  sys::ThreadPool pool(2);
  const std::vector<std::vector<std::int32_t>> windows{check_tokens(source.config().vocab_size)};
  EXPECT_GT(compare_logits({source}, {source, &broken}, windows, pool).value().max_abs, kPreparedTolerance);
  EXPECT_EQ(compare_logits({source}, {source}, windows, pool).value().max_abs, 0.0);
}

TEST(Prepare, MethodsSayWhatTheyAreCombinedWith) {
  Bench bench(test::tiny_models().front());
  bench.job().method = "awq";
  const auto refused = bench.prepare("quarot");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().fault, Fault::unsupported);
  EXPECT_NE(refused.error().expected.find("smoothquant"), std::string::npos);
}

}  // namespace
}  // namespace quernel::pipeline
