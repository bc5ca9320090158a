#include <algorithm>

#include "api/failure.h"
#include "api/loaded_model.h"
#include "api/observer_sink.h"
#include "base/json.h"
#include "export/format.h"
#include "model/checkpoint.h"
#include "pipeline/best_job.h"
#include "pipeline/run_job.h"
#include "quant/method.h"
#include "quernel/quernel.h"
#include "transform/transform.h"

namespace quernel::api {

namespace {

bool takes_bf16_scales(const std::string& name) {
  const auto format = exporting::find_format(name);
  if (!format.ok()) return true;  // refused later
  const std::vector<DType>& dtypes = (*format)->scale_dtypes;
  return std::find(dtypes.begin(), dtypes.end(), DType::bf16) != dtypes.end();
}

// The type that the consumers of the formats read: loaders of GPTQ and AWQ take half precision only; a bfloat16 model loaded
// through compressed-tensors has its scales cast to bfloat16, so they must be exact in it.
DType automatic_scale_dtype(const QuantizeOptions& options) {
  const auto checkpoint = model::Checkpoint::open(options.source);
  const bool is_bf16 = checkpoint.ok() && checkpoint->config().stored_dtype == "bfloat16";
  return is_bf16 && std::all_of(options.formats.begin(), options.formats.end(), takes_bf16_scales) ? DType::bf16
                                                                                                   : DType::f16;
}

// compressed-tensors where the method's result fits it, else the method's first; an unknown method is refused later.
std::vector<std::string> formats_of(const QuantizeOptions& options) {
  if (!options.formats.empty()) return options.formats;
  const std::string usual = "compressed-tensors";
  const auto method = quant::find_method(options.method);
  if (!method.ok()) return {usual};
  const std::vector<std::string>& possible = (*method)->formats;
  return {std::find(possible.begin(), possible.end(), usual) != possible.end() ? usual : possible.front()};
}

// The preprocessing by name, else the method's own; with method auto it is measured too.
std::vector<std::string> chain_of(const QuantizeOptions& options) {
  const bool is_auto = options.method == pipeline::kAuto;
  const std::string name = !options.preprocess.empty() ? options.preprocess
                           : is_auto                   ? pipeline::kAuto
                                                       : take(quant::find_method(options.method))->default_preprocess;
  if (name == pipeline::kAuto) return {name};
  return take(transform::parse_preprocess(name));
}

pipeline::QuantizeJob to_job(const QuantizeOptions& options) {
  pipeline::QuantizeJob job;
  job.source = options.source;
  job.output = options.output;
  job.method = options.method;
  for (const auto& [name, value] : options.method_options)
    take(transform::has_option(name) ? transform::set_option(name, value, job.transform)
                                     : quant::set_option(name, value, job.grid, job.solver));
  job.transform.chain = chain_of(options);
  job.auto_group_size = !options.method_options.contains("group-size");
  job.formats = formats_of(options);
  if (!options.method_options.contains("scale-dtype")) job.grid.scale_dtype = automatic_scale_dtype(options);
  job.ignore = options.ignore;
  if (!options.calibration.empty()) job.calibration.sources = options.calibration;
  job.calibration.jsonl_field = options.calibration_field;
  job.calibration.samples = options.calibration_samples;
  job.calibration.length = options.calibration_length;
  job.calibration.seed = options.seed;
  job.calibration.mode = take(calib::parse_sample_mode(options.calibration_mode));
  job.precision = take(parse_precision(options.precision));
  job.simulated = to_runtime(options.simulated);
  job.threads = options.threads;
  job.max_memory_bytes = options.max_memory_bytes;
  job.work_dir = options.work_dir;
  job.save_seconds = options.save_seconds;
  job.resume = options.resume;
  job.overwrite = options.overwrite;
  job.keep_work_dir = options.keep_work_dir;
  job.strict = options.strict;
  job.require_sane = options.require_sane;
  job.max_kld = options.max_kld;
  job.command = options.command;
  return job;
}

}  // namespace

Report quantize(const QuantizeOptions& options, const Observer& observer) {
  ObserverSink sink(observer);
  const pipeline::QuantizeJob job = to_job(options);
  const pipeline::JobOutcome outcome =
      take(pipeline::asks_for_best(job) ? pipeline::run_best_job(job, sink) : pipeline::run_job(job, sink));
  return {dump_json(outcome.json, 1), outcome.text};
}

}  // namespace quernel::api
