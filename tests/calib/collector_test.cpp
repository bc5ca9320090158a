#include "calib/collector.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "calib/hidden_store.h"
#include "runtime/block.h"
#include "runtime/float_model.h"
#include "runtime/model_fixture.h"
#include "sys/interrupt.h"

namespace quernel::calib {
namespace {

using model::Site;
using runtime::LoadedModel;

test::TinyModel small_llama() {
  test::TinyModel tiny = test::tiny_llama();
  tiny.config["max_position_embeddings"] = 1024;
  tiny.draw(7);
  return tiny;
}

CalibrationSamples make_samples(std::int64_t count, std::int64_t length, std::int64_t vocab) {
  SamplingOptions options;
  options.count = count;
  options.length = length;
  options.mode = SampleMode::first;
  return sample_windows(test::random_tokens(count * length, vocab, 11), options).value();
}

// A stand-in for a quantizer: weights on a coarse grid.
Matrix coarse(const model::Checkpoint& checkpoint, const std::string& module) {
  Matrix weight = checkpoint.read_weight(module).value();
  for (std::int64_t i = 0; i < weight.size(); ++i) weight.data()[i] = std::round(weight.data()[i] * 16.0F) / 16.0F;
  return weight;
}

void quantize_site(const model::Checkpoint& checkpoint, Site site, runtime::LayerWeights& weights) {
  for (const model::LinearModule& module : model::linear_modules(checkpoint.config(), weights.index)) {
    if (module.site == site) weights.replace(module, coarse(checkpoint, module.name));
  }
}

// All statistics of a run, layer by layer, site by site.
struct Trace {
  std::vector<Matrix> hessians;
  std::vector<std::int64_t> tokens;
  std::vector<Matrix> drifts;  // of inputs or outputs, where the job has drift
};

void expect_same(const std::vector<Matrix>& a, const std::vector<Matrix>& b, std::size_t from) {
  ASSERT_EQ(a.size(), b.size() + from);
  for (std::size_t i = 0; i < b.size(); ++i) {
    const Matrix& x = a[i + from];
    const Matrix& y = b[i];
    ASSERT_EQ(x.size(), y.size());
    EXPECT_EQ(std::memcmp(x.data(), y.data(), static_cast<std::size_t>(x.size()) * sizeof(float)), 0)
        << "statistics " << i;
  }
}

void expect_same(const Trace& a, const Trace& b, std::size_t from = 0) {
  expect_same(a.hessians, b.hessians, from);
  if (!a.drifts.empty()) expect_same(a.drifts, b.drifts, from);
}

// Layers from calibrator.next_layer() to `end`, quantized as they are passed.
void calibrate(const model::Checkpoint& checkpoint, BlockCalibrator& calibrator, std::int64_t end, Trace* run,
               Drift drift = Drift::none) {
  while (calibrator.next_layer() < end) {
    runtime::LayerWeights weights = runtime::load_layer(checkpoint, calibrator.next_layer()).value();
    const runtime::LayerWeights unquantized = runtime::load_layer(checkpoint, calibrator.next_layer()).value();
    const runtime::LayerWeights* source = drift == Drift::none ? nullptr : &unquantized;
    for (const Site site : model::kSites) {
      if (run != nullptr) {
        auto stats = calibrator.collect(weights, site, source);
        ASSERT_TRUE(stats.ok()) << to_string(stats.error());
        run->hessians.push_back(std::move(stats->hessian));
        run->tokens.push_back(stats->num_tokens);
        if (!stats->input_drift.empty()) run->drifts.push_back(std::move(stats->input_drift));
        if (!stats->output_drift.empty()) run->drifts.push_back(std::move(stats->output_drift));
      }
      quantize_site(checkpoint, site, weights);
      const Status advanced = calibrator.advance(weights, site, source);
      ASSERT_TRUE(advanced.ok()) << to_string(advanced.error());
    }
  }
}

struct Setting {
  int threads = 2;
  std::uint64_t ceiling = 0;
  runtime::Precision precision = runtime::Precision::f32;
  runtime::SimulatedBits simulated{};
  Drift drift = Drift::none;
};

class Job {
 public:
  Job(const LoadedModel& loaded, const CalibrationSamples& samples, const Setting& setting)
      : checkpoint_(*loaded.checkpoint), drift_(setting.drift), pool_(setting.threads), budget_(setting.ceiling) {
    CalibratorOptions options;
    options.drift = setting.drift;
    options.precision = setting.precision;
    options.pool = &pool_;
    options.budget = &budget_;
    options.spill_folder = folder_.path();
    options.simulated = setting.simulated;
    auto created = BlockCalibrator::create(checkpoint_.config(), samples, options);
    if (!created.ok()) ADD_FAILURE() << to_string(created.error());
    calibrator_.emplace(std::move(created).value());
  }

  Status embed() { return calibrator_->embed(runtime::load_ends(checkpoint_).value()); }
  Trace run() {
    EXPECT_TRUE(embed().ok());
    Trace result;
    calibrate(checkpoint_, *calibrator_, checkpoint_.config().num_layers, &result, drift_);
    return result;
  }
  BlockCalibrator& calibrator() { return *calibrator_; }
  sys::MemoryBudget& budget() { return budget_; }
  void drop() { calibrator_.reset(); }

 private:
  const model::Checkpoint& checkpoint_;
  Drift drift_;
  test::TempFolder folder_;
  sys::ThreadPool pool_;
  sys::MemoryBudget budget_;
  std::optional<BlockCalibrator> calibrator_;
};

// The same pass written plainly: one sequence at a time, all six steps in order, sums in double.
class PlainPass {
 public:
  PlainPass(const LoadedModel& loaded, const CalibrationSamples& samples, bool quantizes = true)
      : checkpoint_(*loaded.checkpoint), quantizes_(quantizes), pool_(1) {
    const runtime::EndWeights ends = runtime::load_ends(checkpoint_).value();
    for (const auto& window : samples.windows) {
      hidden_.emplace_back(samples.length, checkpoint_.config().hidden_size);
      EXPECT_TRUE(runtime::embed_tokens(checkpoint_.config(), ends, window, hidden_.back()).ok());
    }
    rope_ = runtime::RopeTable::make(checkpoint_.config());
  }

  // What the sites of one layer read, and what the stream is after a site whose output joins it: under the source's weights
  // for that site, before they are quantized.
  struct SiteRows {
    std::vector<Matrix> inputs;
    std::vector<Matrix> outputs;
  };
  std::vector<SiteRows> rows_of_layer(std::int64_t index) {
    runtime::LayerWeights weights = runtime::load_layer(checkpoint_, index).value();
    std::vector<SiteRows> result;
    for (const Site site : model::kSites) {
      SiteRows& rows = result.emplace_back();
      for (std::size_t s = 0; s < hidden_.size(); ++s) {
        rows.inputs.push_back(input(weights, site, s));
        rows.outputs.push_back(hidden_[s].clone());
        finish(weights, site, rows.inputs[s], rows.outputs[s]);
      }
      if (quantizes_) quantize_site(checkpoint_, site, weights);
      for (std::size_t s = 0; s < hidden_.size(); ++s) finish(weights, site, rows.inputs[s], hidden_[s]);
    }
    return result;
  }

  // H and the sum of |x_i x_j| of each site of one layer, in order.
  std::vector<std::pair<MatrixF64, MatrixF64>> layer(std::int64_t index) {
    std::vector<std::pair<MatrixF64, MatrixF64>> result;
    for (const SiteRows& rows : rows_of_layer(index)) result.push_back(products(rows.inputs));
    return result;
  }

 private:
  runtime::BlockContext context() {
    runtime::BlockContext context;
    context.config = &checkpoint_.config();
    context.rope = rope_.get();
    context.pool = &pool_;
    return context;
  }

  void finish(const runtime::LayerWeights& weights, Site site, const Matrix& x, Matrix& hidden) {
    if (site == Site::attention_out) runtime::attention_finish(context(), weights, x, hidden);
    if (site == Site::mlp_out) runtime::mlp_finish(context(), weights, x, hidden);
  }

  Matrix input(const runtime::LayerWeights& weights, Site site, std::size_t s) {
    const Matrix& hidden = hidden_[s];
    Matrix normed(hidden.rows(), hidden.cols());
    Matrix out(hidden.rows(), model::site_width(checkpoint_.config(), site));
    if (site == Site::attention_in || site == Site::attention_out) {
      runtime::attention_input(context(), weights, hidden, normed);
      if (site == Site::attention_in) return normed;
      runtime::SequenceSpan span;
      span.num_tokens = hidden.rows();
      runtime::attention_mix(context(), weights, normed, {span}, out);
      return out;
    }
    runtime::mlp_input(context(), weights, hidden, normed);
    if (site == Site::mlp_in) return normed;
    runtime::mlp_inner(context(), weights, normed, out);
    return out;
  }

  static std::pair<MatrixF64, MatrixF64> products(const std::vector<Matrix>& inputs) {
    const std::int64_t width = inputs.front().cols();
    std::pair<MatrixF64, MatrixF64> sums{MatrixF64(width, width), MatrixF64(width, width)};
    for (const Matrix& x : inputs) {
      for (std::int64_t row = 0; row < x.rows(); ++row) {
        for (std::int64_t i = 0; i < width; ++i) {
          for (std::int64_t j = 0; j < width; ++j) {
            const double product = static_cast<double>(x(row, i)) * static_cast<double>(x(row, j));
            sums.first(i, j) += product;
            sums.second(i, j) += std::abs(product);
          }
        }
      }
    }
    return sums;
  }

  const model::Checkpoint& checkpoint_;
  bool quantizes_;
  sys::ThreadPool pool_;
  std::shared_ptr<const runtime::RopeTable> rope_;
  std::vector<Matrix> hidden_;
};

TEST(Collector, HessiansAreThoseOfAPlainPassForEveryArchitecture) {
  std::vector<test::TinyModel> models = test::tiny_models();
  for (test::TinyModel& tiny : models) {
    tiny.draw(5);
    SCOPED_TRACE(tiny.architecture);
    const LoadedModel loaded(tiny);
    const CalibrationSamples samples = make_samples(5, 19, tiny.vocab);
    Job job(loaded, samples, {});
    const Trace run = job.run();
    ASSERT_EQ(run.hessians.size(), 4U * static_cast<std::size_t>(tiny.num_layers()));
    PlainPass plain(loaded, samples);
    for (std::int64_t layer = 0, index = 0; layer < tiny.num_layers(); ++layer) {
      for (const auto& [sum, magnitude] : plain.layer(layer)) {
        const Matrix& hessian = run.hessians[static_cast<std::size_t>(index)];
        ASSERT_EQ(hessian.rows(), sum.rows());
        EXPECT_EQ(run.tokens[static_cast<std::size_t>(index++)], samples.num_tokens());
        for (std::int64_t i = 0; i < sum.rows(); ++i) {
          for (std::int64_t j = 0; j < sum.cols(); ++j) {
            // (n + 2) u of the sum, and as much again for inputs whose last bits depend on the batch's shape.
            ASSERT_NEAR(hessian(i, j), sum(i, j), 2.0 * (5 * 19 + 2) * 0x1p-24 * magnitude(i, j))
                << "layer " << layer << ", element " << i << ", " << j;
          }
        }
      }
    }
  }
}

// The largest difference of a sum of (a - b) x^T from its definition, and the largest entry of that.
std::pair<double, double> drift_error(const Matrix& drift, const std::vector<Matrix>& a, const std::vector<Matrix>& b,
                                      const std::vector<Matrix>& x) {
  std::pair<double, double> result;
  for (std::int64_t i = 0; i < drift.rows(); ++i) {
    for (std::int64_t j = 0; j < drift.cols(); ++j) {
      double sum = 0.0;
      for (std::size_t s = 0; s < x.size(); ++s) {
        for (std::int64_t t = 0; t < x[s].rows(); ++t) {
          sum += (static_cast<double>(a[s](t, i)) - b[s](t, i)) * x[s](t, j);
        }
      }
      result.first = std::max(result.first, std::abs(drift(i, j) - sum));
      result.second = std::max(result.second, std::abs(sum));
    }
  }
  return result;
}

TEST(Collector, DriftIsThatOfTwoPlainPassesForEveryArchitecture) {
  std::vector<test::TinyModel> models = test::tiny_models();
  for (test::TinyModel& tiny : models) {
    tiny.draw(5);
    SCOPED_TRACE(tiny.architecture);
    const LoadedModel loaded(tiny);
    const CalibrationSamples samples = make_samples(5, 19, tiny.vocab);
    for (const Drift kind : {Drift::inputs, Drift::stream}) {
      Setting setting;
      setting.drift = kind;
      Job job(loaded, samples, setting);
      const Trace run = job.run();
      ASSERT_EQ(run.drifts.size(), run.hessians.size());
      PlainPass quantized(loaded, samples);
      PlainPass source(loaded, samples, false);
      std::size_t index = 0;
      for (std::int64_t layer = 0; layer < tiny.num_layers(); ++layer) {
        const auto weights = runtime::load_layer(*loaded.checkpoint, layer).value();
        const auto ours = quantized.rows_of_layer(layer);
        const auto theirs = source.rows_of_layer(layer);
        for (std::size_t site = 0; site < ours.size(); ++site, ++index) {
          const bool joins = kind == Drift::stream &&
                             ((model::kSites[site] == Site::attention_out && weights.attention_post_norm.empty()) ||
                              (model::kSites[site] == Site::mlp_out && weights.mlp_post_norm.empty()));
          const Matrix& drift = run.drifts[index];
          ASSERT_EQ(drift.rows(), joins ? loaded.checkpoint->config().hidden_size : drift.cols());
          Matrix scaled = drift.clone();  // output drift is in units of the linear's own output
          const auto scale = static_cast<float>(joins ? loaded.checkpoint->config().residual_scale : 1.0);
          for (std::int64_t i = 0; i < scaled.size(); ++i) scaled.data()[i] *= scale;
          const auto [error, largest] = drift_error(scaled, joins ? theirs[site].outputs : theirs[site].inputs,
                                                    joins ? ours[site].outputs : ours[site].inputs, ours[site].inputs);
          EXPECT_LE(error, 1e-4 * largest + 1e-4) << "layer " << layer << ", site " << site;
          if (layer > 0) {
            EXPECT_GT(largest, 0.0);
          }
        }
      }
    }
  }
}

TEST(Collector, DoesNotDependOnThreadsOrMemory) {
  const test::TinyModel tiny = small_llama();
  const LoadedModel loaded(tiny);
  const CalibrationSamples samples = make_samples(9, 500, tiny.vocab);  // three chunks
  struct Way {
    runtime::Precision precision;
    Drift drift;
  };
  for (const Way& way : {Way{runtime::Precision::f32, Drift::none}, Way{runtime::Precision::bf16, Drift::none},
                         Way{runtime::Precision::f32, Drift::inputs}, Way{runtime::Precision::bf16, Drift::stream}}) {
    Setting setting;
    setting.precision = way.precision;
    setting.drift = way.drift;
    Job first(loaded, samples, setting);
    const Trace expected = first.run();
    const MemoryPlan plan = first.calibrator().plan();
    EXPECT_FALSE(plan.recompute);
    for (const int threads : {1, 3, 4}) {
      Setting other = setting;
      other.threads = threads;
      expect_same(expected, Job(loaded, samples, other).run());
    }
    Setting recompute = setting;
    recompute.ceiling = plan.memory_bytes() - 1;
    Job again(loaded, samples, recompute);
    EXPECT_TRUE(again.calibrator().plan().recompute);
    EXPECT_FALSE(again.calibrator().plan().spill);
    expect_same(expected, again.run());
    Setting spill = setting;
    spill.ceiling = plan.memory_bytes() - plan.scratch_bytes - 1;
    Job spilled(loaded, samples, spill);
    EXPECT_TRUE(spilled.calibrator().plan().spill);
    expect_same(expected, spilled.run());
  }
}

TEST(Collector, ContinuesFromASavedState) {
  const test::TinyModel tiny = small_llama();
  const LoadedModel loaded(tiny);
  const test::TempFolder folder;
  const CalibrationSamples samples = make_samples(6, 33, tiny.vocab);
  for (const Drift drift : {Drift::none, Drift::stream}) {
    Setting one;
    one.drift = drift;
    Job whole(loaded, samples, one);
    const Trace expected = whole.run();
    const std::int64_t layers = tiny.num_layers();
    for (std::int64_t stop = 0; stop <= layers; ++stop) {
      Job before(loaded, samples, one);
      ASSERT_TRUE(before.embed().ok());
      calibrate(*loaded.checkpoint, before.calibrator(), stop, nullptr, drift);
      ASSERT_TRUE(before.calibrator().save(folder / "state").ok());
      Setting setting = one;
      setting.threads = 1;
      Job after(loaded, samples, setting);
      const Status restored = after.calibrator().restore(folder / "state");
      ASSERT_TRUE(restored.ok()) << to_string(restored.error());
      EXPECT_EQ(after.calibrator().next_layer(), stop);
      Trace rest;
      calibrate(*loaded.checkpoint, after.calibrator(), layers, &rest, drift);
      expect_same(expected, rest, static_cast<std::size_t>(4 * stop));
    }
  }
}

TEST(Collector, ContinuesByWalkingOverFinishedLayers) {
  const test::TinyModel tiny = small_llama();
  const LoadedModel loaded(tiny);
  const CalibrationSamples samples = make_samples(6, 33, tiny.vocab);
  const Trace expected = Job(loaded, samples, {}).run();
  Job resumed(loaded, samples, {});
  ASSERT_TRUE(resumed.embed().ok());
  calibrate(*loaded.checkpoint, resumed.calibrator(), 2, nullptr);
  Trace rest;
  calibrate(*loaded.checkpoint, resumed.calibrator(), tiny.num_layers(), &rest);
  expect_same(expected, rest, 8);
}

TEST(Collector, RefusesTheStateOfAnotherJob) {
  const test::TinyModel tiny = small_llama();
  const LoadedModel loaded(tiny);
  const test::TempFolder folder;
  const CalibrationSamples samples = make_samples(6, 33, tiny.vocab);
  Job job(loaded, samples, {});
  ASSERT_TRUE(job.embed().ok());
  ASSERT_TRUE(job.calibrator().save(folder / "state").ok());
  const CalibrationSamples other = make_samples(6, 33, tiny.vocab - 1);
  Job another(loaded, other, {});
  const Status restored = another.calibrator().restore(folder / "state");
  ASSERT_FALSE(restored.ok());
  EXPECT_EQ(restored.error().fault, Fault::incompatible_state);
  EXPECT_EQ(restored.error().field, "samples_sha256");
  EXPECT_EQ(another.calibrator().restore(folder / "missing").error().fault, Fault::not_found);
}

TEST(Collector, NamesLayerAndSiteOfANan) {
  test::TinyModel tiny = small_llama();
  const LoadedModel loaded(tiny);
  const CalibrationSamples samples = make_samples(3, 16, tiny.vocab);
  Job job(loaded, samples, {});
  ASSERT_TRUE(job.embed().ok());
  calibrate(*loaded.checkpoint, job.calibrator(), 1, nullptr);
  runtime::LayerWeights weights = runtime::load_layer(*loaded.checkpoint, 1).value();
  ASSERT_TRUE(job.calibrator().collect(weights, Site::attention_in).ok());
  for (const model::LinearModule& module : model::linear_modules(loaded.checkpoint->config(), 1)) {
    if (module.site != Site::attention_in) continue;
    Matrix weight = loaded.checkpoint->read_weight(module.name).value();
    weight(weight.rows() - 1, 0) = std::numeric_limits<float>::quiet_NaN();
    weights.replace(module, std::move(weight));
  }
  ASSERT_TRUE(job.calibrator().advance(weights, Site::attention_in).ok());
  const auto stats = job.calibrator().collect(weights, Site::attention_out);
  ASSERT_FALSE(stats.ok());
  EXPECT_EQ(stats.error().fault, Fault::invalid_argument);
  EXPECT_NE(stats.error().message.find("layer 1"), std::string::npos) << stats.error().message;
  EXPECT_NE(stats.error().message.find("attention_out"), std::string::npos) << stats.error().message;
}

TEST(Collector, CanBeInterruptedAndCalledAgain) {
  const test::TinyModel tiny = small_llama();
  const LoadedModel loaded(tiny);
  const CalibrationSamples samples = make_samples(6, 33, tiny.vocab);
  const Trace expected = Job(loaded, samples, {}).run();
  Job job(loaded, samples, {});
  ASSERT_TRUE(job.embed().ok());
  const runtime::LayerWeights weights = runtime::load_layer(*loaded.checkpoint, 0).value();
  sys::request_interrupt();
  const auto stopped = job.calibrator().collect(weights, Site::attention_in);
  sys::clear_interrupt();
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().fault, Fault::interrupted);
  Trace run;
  calibrate(*loaded.checkpoint, job.calibrator(), tiny.num_layers(), &run);
  expect_same(expected, run);
}

TEST(Collector, RefusesSamplesLongerThanTheModelsContext) {
  const test::TinyModel tiny = small_llama();
  const LoadedModel loaded(tiny);
  const CalibrationSamples samples = make_samples(1, 1025, tiny.vocab);
  sys::ThreadPool pool(1);
  CalibratorOptions options;
  options.pool = &pool;
  const auto refused = BlockCalibrator::create(loaded.checkpoint->config(), samples, options);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().fault, Fault::invalid_argument);
}

TEST(Collector, HoldsItsReservation) {
  const test::TinyModel tiny = small_llama();
  const LoadedModel loaded(tiny);
  const CalibrationSamples samples = make_samples(6, 33, tiny.vocab);
  Setting setting;
  setting.ceiling = std::uint64_t{1} << 30;
  Job job(loaded, samples, setting);
  EXPECT_EQ(job.budget().reserved_bytes(), job.calibrator().plan().memory_bytes());
  job.drop();
  EXPECT_EQ(job.budget().reserved_bytes(), 0U);
  sys::ThreadPool pool(1);
  sys::MemoryBudget tight(1000);
  CalibratorOptions options;
  options.pool = &pool;
  options.budget = &tight;
  const auto refused = BlockCalibrator::create(loaded.checkpoint->config(), samples, options);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().fault, Fault::out_of_memory);
  EXPECT_EQ(tight.reserved_bytes(), 0U);
}

TEST(Collector, SimulatedBitsGiveStatisticsOfRoundedInputs) {
  const test::TinyModel tiny = small_llama();
  const LoadedModel loaded(tiny);
  const CalibrationSamples samples = make_samples(1, 24, tiny.vocab);
  Setting setting;
  setting.simulated = {.activation_bits = 4, .kv_bits = 4};
  Job rounded(loaded, samples, setting);
  ASSERT_TRUE(rounded.embed().ok());
  const runtime::LayerWeights weights = runtime::load_layer(*loaded.checkpoint, 0).value();
  const Matrix hessian = rounded.calibrator().collect(weights, Site::attention_in).value().hessian;

  sys::ThreadPool pool(1);
  Matrix hidden(24, tiny.hidden);
  const runtime::EndWeights ends = runtime::load_ends(*loaded.checkpoint).value();
  ASSERT_TRUE(runtime::embed_tokens(loaded.checkpoint->config(), ends, samples.windows.front(), hidden).ok());
  runtime::BlockContext context;
  context.config = &loaded.checkpoint->config();
  context.pool = &pool;
  Matrix input(24, tiny.hidden);
  runtime::attention_input(context, weights, hidden, input);
  for (std::int64_t row = 0; row < 24; ++row) runtime::simulate_group(4, false, input.row(row));
  for (std::int64_t i = 0; i < tiny.hidden; ++i) {
    for (std::int64_t j = 0; j < tiny.hidden; ++j) {
      double sum = 0.0;
      for (std::int64_t row = 0; row < 24; ++row) sum += static_cast<double>(input(row, i)) * input(row, j);
      ASSERT_NEAR(hessian(i, j), sum, 1e-4);
    }
  }
}

TEST(Collector, StateOfOtherSimulatedBitsIsRefused) {
  const test::TinyModel tiny = small_llama();
  const LoadedModel loaded(tiny);
  const CalibrationSamples samples = make_samples(2, 24, tiny.vocab);
  const test::TempFolder folder;
  const std::string path = folder.path() + "/state";
  Job plain(loaded, samples, {});
  ASSERT_TRUE(plain.embed().ok());
  ASSERT_TRUE(plain.calibrator().save(path).ok());
  Setting setting;
  setting.simulated = {.activation_bits = 8};
  Job rounded(loaded, samples, setting);
  const Status restored = rounded.calibrator().restore(path);
  ASSERT_FALSE(restored.ok());
  EXPECT_EQ(restored.error().fault, Fault::incompatible_state);
}

}  // namespace
}  // namespace quernel::calib
