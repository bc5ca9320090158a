#include "pipeline/step4_quantize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "calib/collector.h"
#include "codec/integer_matrix.h"
#include "quant/method.h"
#include "quant/prepared_hessian.h"
#include "runtime/layer_weights.h"
#include "sys/clock.h"
#include "sys/interrupt.h"

namespace quernel::pipeline {

namespace {

double cosine_between(ConstMatrixView a, ConstMatrixView b) {
  double dot = 0;
  double a_squared = 0;
  double b_squared = 0;
  for (std::int64_t row = 0; row < a.rows; ++row) {
    const auto x = a.row(row);
    const auto y = b.row(row);
    for (std::size_t i = 0; i < x.size(); ++i) {
      dot += double{x[i]} * double{y[i]};
      a_squared += double{x[i]} * double{x[i]};
      b_squared += double{y[i]} * double{y[i]};
    }
  }
  const double norms = std::sqrt(a_squared) * std::sqrt(b_squared);
  return norms > 0 ? dot / norms : 1.0;
}

bool has_option(const JobPlan& plan, const char* name) {
  const auto& options = plan.method->options;
  return std::any_of(options.begin(), options.end(), [&](const quant::MethodOption& o) { return o.name == name; });
}

// Whether the unquantized model must run along: where the method has a target and the job asks for one of these.
calib::Drift drift_for(const JobPlan& plan) {
  if (!has_option(plan, "target")) return calib::Drift::none;
  switch (plan.solver.target) {
    case quant::Target::weight: return calib::Drift::none;
    case quant::Target::inputs: return calib::Drift::inputs;
    case quant::Target::stream: return calib::Drift::stream;
  }
  return calib::Drift::none;
}

// State of the walk over the model.
class Walk {
 public:
  explicit Walk(const QuantizeContext& context) : context_(context), drift_(drift_for(context.plan)) {
    for (const auto& layer : context.source.layers)
      for (const auto& module : layer) {
        ++total_modules_;
        total_weights_ += module.rows * module.cols;
      }
  }

  Result<std::vector<ModuleReport>> run();

 private:
  [[nodiscard]] const model::Checkpoint& checkpoint() const { return context_.source.checkpoint; }
  Result<std::int64_t> start_calibration();
  Status run_layer(std::int64_t layer);
  // source: the layer as the model holds it, where the target asks for drift; else null.
  Status run_site(runtime::LayerWeights& weights, const runtime::LayerWeights* source, model::Site site,
                  const std::vector<const model::LinearModule*>& modules);
  Result<StoredModule> quantize(const model::LinearModule& module, std::int64_t layer, const quant::LayerStats* stats,
                                const quant::PreparedHessian* prepared);
  Result<std::optional<StoredModule>> load_stored(const model::LinearModule& module);
  Status save_boundary(std::int64_t next_layer);
  void note(const ModuleReport& report);

  const QuantizeContext& context_;
  calib::Drift drift_;
  std::optional<calib::BlockCalibrator> calibrator_;
  std::vector<ModuleReport> reports_;
  std::int64_t total_modules_ = 0;
  std::int64_t total_weights_ = 0;
  std::int64_t done_weights_ = 0;
  std::int64_t fresh_weights_ = 0;  // quantized in this run: what the time left is estimated from
  sys::Stopwatch clock_;
  double last_save_ = 0.0;
};

Result<std::vector<ModuleReport>> Walk::run() {
  std::int64_t first_live = 0;
  if (context_.calibration != nullptr) {
    QUERNEL_TRY(first_live, start_calibration());
  }
  const auto num_layers = static_cast<std::int64_t>(context_.source.layers.size());
  for (std::int64_t layer = 0; layer < num_layers; ++layer) {
    if (layer < first_live) {  // the saved hidden states lie behind this layer: its modules are only read
      for (const model::LinearModule& module : context_.source.layers[static_cast<std::size_t>(layer)]) {
        QUERNEL_TRY(const StoredModule stored, context_.store.get(module.name));
        note(stored.report);
      }
      continue;
    }
    QUERNEL_TRY_STATUS(run_layer(layer));
    QUERNEL_TRY_STATUS(save_boundary(layer + 1));
  }
  return std::move(reports_);
}

// Where the walk with live hidden states begins: at the newest saved boundary before which all is stored, or at 0.
Result<std::int64_t> Walk::start_calibration() {
  calib::CalibratorOptions options;
  options.precision = context_.job.precision;
  options.pool = &context_.pool;
  options.simulated = context_.job.simulated;
  options.budget = &context_.budget;
  options.spill_folder = context_.work.spill_folder();
  options.drift = drift_;
  options.probe = context_.plan.solver.super_weights;
  QUERNEL_TRY(calibrator_,
              calib::BlockCalibrator::create(checkpoint().config(), context_.calibration->samples, options));
  context_.progress.on_note("memory " + calib::to_string(calibrator_->plan()));

  if (const auto saved = context_.work.newest_hidden(); saved.has_value()) {
    bool complete = true;
    for (std::int64_t layer = 0; layer < *saved; ++layer)
      for (const auto& module : context_.source.layers[static_cast<std::size_t>(layer)])
        complete = complete && context_.store.get(module.name).ok();
    if (complete) {
      const Status restored = calibrator_->restore(context_.work.hidden_path(*saved));
      if (restored.ok()) return *saved;
      context_.progress.on_warning("saved hidden states are not usable and are computed again: " +
                                   to_string(restored.error()));
    }
  }
  QUERNEL_TRY(const runtime::EndWeights ends, runtime::load_ends(checkpoint()));
  QUERNEL_TRY_STATUS(calibrator_->embed(ends));
  return 0;
}

Status Walk::run_layer(std::int64_t layer) {
  const auto& planned = context_.source.layers[static_cast<std::size_t>(layer)];
  runtime::LayerWeights weights;
  std::optional<runtime::LayerWeights> source;
  if (calibrator_.has_value()) {
    QUERNEL_TRY(weights, runtime::load_layer(checkpoint(), layer));
    if (drift_ != calib::Drift::none) source = weights;  // shares the matrices, which replace() leaves alone
  }
  weights.index = layer;
  for (const model::Site site : model::kSites) {
    std::vector<const model::LinearModule*> modules;
    for (const model::LinearModule& module : planned)
      if (module.site == site) modules.push_back(&module);
    QUERNEL_TRY_STATUS(run_site(weights, source.has_value() ? &*source : nullptr, site, modules));
  }
  for (const model::LinearModule& module : planned) checkpoint().release(module.name + ".weight");
  return {};
}

Status Walk::run_site(runtime::LayerWeights& weights, const runtime::LayerWeights* source, model::Site site,
                      const std::vector<const model::LinearModule*>& modules) {
  std::vector<std::optional<StoredModule>> stored;
  bool all_stored = true;
  for (const model::LinearModule* module : modules) {
    QUERNEL_TRY(stored.emplace_back(), load_stored(*module));
    all_stored = all_stored && stored.back().has_value();
  }
  std::optional<quant::LayerStats> stats;
  std::optional<quant::PreparedHessian> prepared;  // one factor for all modules of the site
  if (calibrator_.has_value() && !all_stored) {
    QUERNEL_TRY(stats, calibrator_->collect(weights, site, source));
    QUERNEL_TRY(prepared, quant::prepare_hessian(*stats, context_.plan.grid, context_.plan.solver));
  }
  for (std::size_t i = 0; i < modules.size(); ++i) {
    if (!stored[i].has_value()) {
      QUERNEL_TRY(stored[i], quantize(*modules[i], weights.index, stats.has_value() ? &*stats : nullptr,
                                      prepared.has_value() ? &*prepared : nullptr));
    }
    note(stored[i]->report);
    if (calibrator_.has_value()) weights.replace(*modules[i], codec::dequantize(stored[i]->matrix));
    QUERNEL_TRY_STATUS(sys::check_interrupt());
  }
  if (calibrator_.has_value()) QUERNEL_TRY_STATUS(calibrator_->advance(weights, site, source));
  return {};
}

Result<std::optional<StoredModule>> Walk::load_stored(const model::LinearModule& module) {
  if (!context_.store.contains(module.name)) return std::optional<StoredModule>();
  auto stored = context_.store.get(module.name);
  if (stored.ok()) return std::optional<StoredModule>(std::move(stored).value());
  context_.progress.on_warning("a stored module is damaged and is computed again: " + to_string(stored.error()));
  context_.store.erase(module.name);
  return std::optional<StoredModule>();
}

Result<StoredModule> Walk::quantize(const model::LinearModule& module, std::int64_t layer,
                                    const quant::LayerStats* stats, const quant::PreparedHessian* prepared) {
  const sys::Stopwatch watch;
  QUERNEL_TRY(const Matrix weight, checkpoint().read_weight(module.name));
  QUERNEL_TRY_STATUS(model::check_finite(weight, module.name + ".weight", checkpoint().path()));
  quant::MethodInput input;
  input.weight = weight;
  input.stats = stats;
  input.grid = context_.plan.grid;
  input.solver = context_.plan.solver;
  input.pool = &context_.pool;
  input.prepared = prepared;
  for (const model::ModulePart& part : module.parts)
    if (part.linear == model::Linear::q || part.linear == model::Linear::k) input.score_rows += part.num_rows;
  auto outcome = context_.plan.method->run(input);
  if (!outcome.ok()) return std::move(outcome).error().in_tensor(module.name);
  StoredModule stored;
  stored.matrix = std::move(outcome->matrix);
  for (const codec::Outlier& one : stored.matrix.outliers)
    context_.progress.on_note(fmt::format("{}: the weight {:.4g} at row {}, column {} is kept beside the codes",
                                          module.name, one.value, one.row, one.col));
  ModuleReport& report = stored.report;
  report.name = module.name;
  report.layer = layer;
  report.rows = module.rows;
  report.cols = module.cols;
  report.bits = stored.matrix.bits;
  report.group_size = stored.matrix.group_size;
  report.relative_loss = outcome->relative_loss;
  report.relative_error = outcome->relative_error;
  report.cosine = cosine_between(weight, codec::dequantize(stored.matrix));
  report.damp = outcome->damp;
  report.dead_columns = outcome->dead_columns;
  report.fallback = outcome->fallback;
  report.seconds = watch.seconds();
  if (report.fallback.has_value() && context_.job.strict)
    return Error(Fault::verification_failed, "the solver fell back to rounding: " + *report.fallback)
        .in_tensor(module.name)
        .with_hint("without --strict this is a warning");
  QUERNEL_TRY_STATUS(context_.store.put(stored));
  fresh_weights_ += module.rows * module.cols;
  return stored;
}

Status Walk::save_boundary(std::int64_t next_layer) {
  const auto num_layers = static_cast<std::int64_t>(context_.source.layers.size());
  if (!calibrator_.has_value() || next_layer == num_layers) return {};
  if (clock_.seconds() - last_save_ < context_.job.save_seconds) return {};
  QUERNEL_TRY_STATUS(calibrator_->save(context_.work.hidden_path(next_layer)));
  context_.work.drop_hidden_before(next_layer);
  last_save_ = clock_.seconds();
  return {};
}

void Walk::note(const ModuleReport& report) {
  reports_.push_back(report);
  done_weights_ += report.rows * report.cols;
  sys::ProgressEvent event;
  event.stage = "quantize";
  event.item = report.name;
  event.done = static_cast<std::int64_t>(reports_.size());
  event.total = total_modules_;
  event.detail = fmt::format("{} bit g{}  loss {:.2e}", report.bits, report.group_size, report.relative_loss);
  if (report.resumed) event.detail += "  (stored)";
  event.item_seconds = report.resumed ? 0.0 : report.seconds;
  if (fresh_weights_ > 0)
    event.remaining_seconds =
        clock_.seconds() / static_cast<double>(fresh_weights_) * static_cast<double>(total_weights_ - done_weights_);
  event.resident_bytes = sys::resident_bytes();
  context_.progress.on_progress(event);
  if (report.fallback.has_value())
    context_.progress.on_warning(fmt::format("{}: rounded to nearest instead: {}", report.name, *report.fallback));
  if (report.dead_columns > 0)
    context_.progress.on_warning(
        fmt::format("{}: {} inputs were never active in calibration", report.name, report.dead_columns));
}

}  // namespace

Result<std::vector<ModuleReport>> step4_quantize(const QuantizeContext& context) { return Walk(context).run(); }

}  // namespace quernel::pipeline
