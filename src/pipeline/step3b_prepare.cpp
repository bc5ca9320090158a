#include "pipeline/step3b_prepare.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "calib/collector.h"
#include "pipeline/fingerprint.h"
#include "pipeline/logit_check.h"
#include "pipeline/prepared_writer.h"
#include "runtime/layer_weights.h"
#include "sys/atomic_file.h"
#include "sys/clock.h"
#include "sys/errno_error.h"
#include "sys/json_file.h"
#include "transform/pairs.h"
#include "transform/scale_change.h"

namespace quernel::pipeline {

namespace fs = std::filesystem;

namespace {

constexpr const char* kMarker = "/prepared.json";
constexpr std::int64_t kSampleRows = 256;  // of a site, for searches that round activations
constexpr std::size_t kCheckWindows = 4;   // of the comparison of logits
constexpr std::size_t kCheckTokens = 64;   // of each

using ChangePointer = std::unique_ptr<transform::ModelChange>;

class Preparation {
 public:
  explicit Preparation(const PrepareContext& context) : context_(context), folder_(context.work.prepared_folder()) {}

  Result<Prepared> run();

 private:
  [[nodiscard]] const model::Checkpoint& checkpoint() const { return context_.source.checkpoint; }
  [[nodiscard]] const transform::TransformSpec& spec() const { return context_.plan.transform; }
  bool take_finished(PrepareReport& report) const;
  Result<ChangePointer> find_change(PrepareReport& report);
  Result<ChangePointer> search_scales(const transform::Transform& row, bool rotated_later, PrepareReport& report);
  Result<transform::LayerScales> search_layer(const transform::Transform& row, bool rotated_later,
                                              calib::BlockCalibrator& calibrator, std::int64_t layer,
                                              PrepareReport& report);
  Status make_folder() const;
  [[nodiscard]] std::vector<std::vector<std::int32_t>> check_windows() const;
  Status check(const transform::ModelChange& change, PrepareReport& report) const;
  Status write_marker(const PrepareReport& report) const;

  const PrepareContext& context_;
  std::string folder_;
};

Json summary_json(const PrepareReport& report) {
  Json sites = Json::array();
  for (const PreparedSite& site : report.sites)
    sites.push_back({{"site", site.site}, {"scaled", site.scaled}, {"error_ratio", site.error_ratio}});
  return {{"logits_max_abs", report.logits_max_abs},
          {"logits_max_abs_rounded", report.logits_max_abs_rounded},
          {"sites", std::move(sites)}};
}

Status read_summary(const Json& json, PrepareReport& report) {
  QUERNEL_TRY(report.logits_max_abs, json_number(json, "logits_max_abs"));
  QUERNEL_TRY(report.logits_max_abs_rounded, json_number(json, "logits_max_abs_rounded"));
  for (const Json& entry : json.value("sites", Json::array())) {
    PreparedSite& site = report.sites.emplace_back();
    QUERNEL_TRY(site.site, json_string(entry, "site"));
    QUERNEL_TRY(site.scaled, json_int(entry, "scaled"));
    QUERNEL_TRY(site.error_ratio, json_number(entry, "error_ratio"));
  }
  return {};
}

Result<Prepared> Preparation::run() {
  const sys::Stopwatch watch;
  PrepareReport report;
  report.name = transform::to_string(spec().chain);
  report.resumed = take_finished(report);
  if (!report.resumed) {
    report.sites.clear();
    context_.progress.on_note("preparing the model: " + report.name);
    QUERNEL_TRY(const ChangePointer change, find_change(report));
    QUERNEL_TRY_STATUS(make_folder());
    QUERNEL_TRY_STATUS(write_prepared(context_.source, *change, folder_, context_.pool, context_.progress));
    QUERNEL_TRY_STATUS(check(*change, report));
    QUERNEL_TRY_STATUS(write_marker(report));
  }
  context_.progress.on_note(fmt::format("prepared: logits within {:.1e} of the source", report.logits_max_abs));
  report.seconds = watch.seconds();
  QUERNEL_TRY(model::Checkpoint prepared, model::Checkpoint::open(folder_));
  const LoadedSource& source = context_.source;
  return Prepared{
      {std::move(prepared), source.files, source.layers, source.parameters, source.quantized_parameters, source.bytes},
      std::move(report)};
}

// What an earlier run of this very job finished.
bool Preparation::take_finished(PrepareReport& report) const {
  const auto marker = sys::read_json(folder_ + kMarker);
  if (!marker.ok() || !marker->is_object() || !marker->contains("identity") || !marker->contains("summary"))
    return false;
  if (first_difference(marker->at("identity"), context_.identity).has_value()) return false;
  return read_summary(marker->at("summary"), report).ok() && model::Checkpoint::open(folder_).ok();
}

Result<ChangePointer> Preparation::find_change(PrepareReport& report) {
  auto chain = std::make_unique<transform::ChainedChange>();
  QUERNEL_TRY(const runtime::EndWeights ends, runtime::load_ends(checkpoint()));
  for (std::size_t i = 0; i < spec().chain.size(); ++i) {
    QUERNEL_TRY(const transform::Transform* row, transform::find_transform(spec().chain[i]));
    if (!row->needs_statistics()) {
      chain->add(row->make_change(checkpoint().config(), ends, spec()));
      continue;
    }
    QUERNEL_CHECK(i == 0, "{}: statistics are those of the source, so that it must be the first", row->name);
    bool rotated_later = false;
    for (std::size_t later = i + 1; later < spec().chain.size(); ++later)
      rotated_later = rotated_later || spec().chain[later] == "quarot";
    QUERNEL_TRY(ChangePointer scales, search_scales(*row, rotated_later, report));
    chain->add(std::move(scales));
  }
  return ChangePointer(std::move(chain));
}

Result<ChangePointer> Preparation::search_scales(const transform::Transform& row, bool rotated_later,
                                                 PrepareReport& report) {
  QUERNEL_CHECK(context_.calibration != nullptr, "{} needs calibration", row.name);
  const model::ModelConfig& config = checkpoint().config();
  calib::CalibratorOptions options;
  options.precision = context_.precision;
  options.pool = &context_.pool;
  options.budget = &context_.budget;
  options.spill_folder = context_.work.spill_folder();
  options.channel_stats = true;
  options.sample_rows = kSampleRows;
  QUERNEL_TRY(auto calibrator, calib::BlockCalibrator::create(config, context_.calibration->samples, options));
  QUERNEL_TRY(const runtime::EndWeights ends, runtime::load_ends(checkpoint()));
  QUERNEL_TRY_STATUS(calibrator.embed(ends));
  for (const model::Site site : model::kSites) report.sites.push_back({model::to_string(site), 0, 0.0});
  const sys::Stopwatch watch;
  std::vector<transform::LayerScales> layers;
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer) {
    QUERNEL_TRY(transform::LayerScales scales, search_layer(row, rotated_later, calibrator, layer, report));
    layers.push_back(std::move(scales));
    sys::ProgressEvent event;
    event.stage = row.name;
    event.item = fmt::format("layer {}", layer);
    event.done = layer + 1;
    event.total = config.num_layers;
    event.remaining_seconds =
        watch.seconds() / static_cast<double>(layer + 1) * static_cast<double>(config.num_layers - layer - 1);
    context_.progress.on_progress(event);
  }
  for (PreparedSite& site : report.sites) site.error_ratio /= static_cast<double>(config.num_layers);
  return transform::make_scale_change(config, std::move(layers));
}

// The unquantized model flows on: statistics are those of the source.
Result<transform::LayerScales> Preparation::search_layer(const transform::Transform& row, bool rotated_later,
                                                         calib::BlockCalibrator& calibrator, std::int64_t layer,
                                                         PrepareReport& report) {
  QUERNEL_TRY(const runtime::LayerWeights weights, runtime::load_layer(checkpoint(), layer));
  transform::LayerScales scales;
  for (std::size_t i = 0; i < model::kSites.size(); ++i) {
    const model::Site site = model::kSites[i];
    if (transform::has_pair(checkpoint().config(), site)) {
      QUERNEL_TRY(const quant::LayerStats stats, calibrator.collect(weights, site));
      QUERNEL_TRY(scales[i], row.find_scales({.config = checkpoint().config(),
                                              .site = site,
                                              .weights = weights,
                                              .stats = stats,
                                              .grid = context_.plan.grid,
                                              .spec = spec(),
                                              .rotated_later = rotated_later,
                                              .pool = context_.pool}));
    }
    report.sites[i].scaled += scales[i].factors.empty() && scales[i].order.empty() ? 0 : 1;
    report.sites[i].error_ratio += scales[i].error_ratio;
    QUERNEL_TRY_STATUS(calibrator.advance(weights, site));
  }
  for (const model::LinearModule& module : context_.source.layers[static_cast<std::size_t>(layer)])
    checkpoint().release(module.name + ".weight");
  return scales;
}

Status Preparation::make_folder() const {
  std::error_code failure;
  fs::remove_all(folder_, failure);
  if (failure) return sys::system_error("cannot remove an unfinished prepared model", folder_, failure.value());
  return sys::make_folders(folder_);
}

std::vector<std::vector<std::int32_t>> Preparation::check_windows() const {
  if (context_.calibration == nullptr) return {check_tokens(checkpoint().config().vocab_size)};
  const auto& all = context_.calibration->samples.windows;
  std::vector<std::vector<std::int32_t>> windows;
  const std::size_t count = std::min(kCheckWindows, all.size());
  for (std::size_t i = 0; i < count; ++i) {
    const std::vector<std::int32_t>& window = all[i * all.size() / count];
    windows.emplace_back(window.begin(),
                         window.begin() + static_cast<std::ptrdiff_t>(std::min(kCheckTokens, window.size())));
  }
  return windows;
}

Status Preparation::check(const transform::ModelChange& change, PrepareReport& report) const {
  const auto windows = check_windows();
  QUERNEL_TRY(const model::Checkpoint written, model::Checkpoint::open(folder_));
  QUERNEL_TRY(const LogitDifference rounded, compare_logits({checkpoint()}, {written}, windows, context_.pool));
  report.logits_max_abs = report.logits_max_abs_rounded = rounded.max_abs;
  if (!keeps_fp32(context_.source)) {
    QUERNEL_TRY(const LogitDifference exact,
                compare_logits({checkpoint()}, {checkpoint(), &change}, windows, context_.pool));
    report.logits_max_abs = exact.max_abs;
  }
  if (report.logits_max_abs <= kPreparedTolerance) return {};
  return Error(Fault::verification_failed, "preparing the model changed what it computes")
      .in_file(folder_)
      .expect(fmt::format("logits within {:g} of the source", kPreparedTolerance),
              fmt::format("{:.3g} (logits are about {:.3g})", report.logits_max_abs, rounded.reference_rms))
      .with_hint("--preprocess none quantizes the model as it is");
}

Status Preparation::write_marker(const PrepareReport& report) const {
  const Json marker{{"identity", context_.identity}, {"summary", summary_json(report)}};
  return sys::write_file(folder_ + kMarker, dump_json(marker, 1) + "\n");
}

}  // namespace

Result<std::optional<Prepared>> step3b_prepare(const PrepareContext& context) {
  if (context.plan.transform.chain.empty()) return std::optional<Prepared>();
  QUERNEL_TRY(Prepared prepared, Preparation(context).run());
  return std::optional<Prepared>(std::move(prepared));
}

}  // namespace quernel::pipeline
