#include "pipeline/step3_plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "export/format.h"
#include "pipeline/version.h"
#include "quant/options.h"
#include "sys/cpu.h"
#include "tensor/linalg.h"
#include "transform/transform.h"

namespace quernel::pipeline {

namespace {

std::int64_t largest_common_group(const LoadedSource& source) {
  constexpr std::array<std::int64_t, 3> kSizes{128, 64, 32};  // what engines have kernels for
  for (const std::int64_t size : kSizes) {
    bool divides = true;
    for (const auto& layer : source.layers)
      for (const model::LinearModule& module : layer) divides = divides && module.cols % size == 0;
    if (divides) return size;
  }
  return kSizes.back();
}

Status check_bits(const quant::Method& method, int bits) {
  if (std::find(method.bits.begin(), method.bits.end(), bits) != method.bits.end()) return {};
  return Error(Fault::unsupported, fmt::format("method {} does not quantize to these bits", method.name))
      .in_field("--bits")
      .expect(fmt::format("{}", fmt::join(method.bits, ", ")), std::to_string(bits));
}

// Scales are kept in the type that the consumers of the formats read.
Status check_formats(const QuantizeJob& job, const quant::Method& method) {
  if (job.formats.empty()) return Error(Fault::usage, "no format given").in_field("--format");
  for (const std::string& name : job.formats) {
    if (std::find(method.formats.begin(), method.formats.end(), name) == method.formats.end())
      return Error(Fault::unsupported, fmt::format("method {} cannot be written in this format", method.name))
          .in_field("--format")
          .expect(fmt::format("{}", fmt::join(method.formats, ", ")), "'" + name + "'");
    if (std::count(job.formats.begin(), job.formats.end(), name) > 1)
      return Error(Fault::usage, "a format is given twice").in_field("--format").expect("each once", name);
  }
  return {};
}

Status check_transforms(const QuantizeJob& job, const quant::Method& method, const model::ModelConfig& config) {
  for (const std::string& name : job.transform.chain) {
    if (std::find(method.combines_with.begin(), method.combines_with.end(), name) != method.combines_with.end())
      continue;
    return Error(Fault::unsupported, fmt::format("method {} is not combined with {}", method.name, name))
        .in_field("--preprocess")
        .expect(fmt::format("none, {}", fmt::join(method.combines_with, ", ")), name);
  }
  for (const std::string& name : job.formats) {
    QUERNEL_TRY(const exporting::Format* format, exporting::find_format(name));
    if (format->online_transforms || !transform::needs_runtime(job.transform)) continue;
    return Error(Fault::unsupported, fmt::format("no reader of {} does Hadamard transforms while a model runs", name))
        .in_field("--format")
        .expect("quernel with --quarot-qk or --quarot-down", name);
  }
  return transform::check_chain(job.transform, config);
}

// A list of single weights needs a format with a place for it, and a model that still has such weights.
Status check_super_weights(const QuantizeJob& job, const quant::Method& method) {
  if (!job.solver.super_weights) return {};
  const bool known = std::any_of(method.options.begin(), method.options.end(),
                                 [](const quant::MethodOption& option) { return option.name == "super-weights"; });
  if (!known)
    return Error(Fault::unsupported, fmt::format("{} have no place for single weights kept beside the codes",
                                                 fmt::join(method.formats, ", ")))
        .in_field("--super-weights")
        .expect(fmt::format("off with --method {}", method.name), "auto")
        .with_hint("--method qoq, whose format quernel holds them");
  if (std::find(job.transform.chain.begin(), job.transform.chain.end(), "quarot") == job.transform.chain.end())
    return {};
  return Error(Fault::unsupported,
               "a rotation spreads every super weight over its whole row and column: none is left to keep")
      .in_field("--super-weights")
      .expect("off with --preprocess quarot", "auto")
      .with_hint("--preprocess none, smoothquant or awq leave them where they are");
}

}  // namespace

Result<JobPlan> step3_plan(const QuantizeJob& job, const LoadedSource& source) {
  JobPlan plan;
  QUERNEL_TRY(plan.method, quant::find_method(job.method));
  QUERNEL_TRY_STATUS(check_bits(*plan.method, job.grid.bits));
  QUERNEL_TRY_STATUS(check_super_weights(job, *plan.method));
  QUERNEL_TRY_STATUS(check_formats(job, *plan.method));
  plan.grid = job.grid;
  plan.solver = job.solver;
  plan.transform = job.transform;
  QUERNEL_TRY_STATUS(check_transforms(job, *plan.method, source.checkpoint.config()));
  if (job.auto_group_size) plan.grid.group_size = largest_common_group(source);
  QUERNEL_TRY_STATUS(quant::validate(plan.grid));
  QUERNEL_TRY_STATUS(quant::validate(plan.solver));
  QUERNEL_TRY_STATUS(runtime::validate(job.simulated));
  const bool uses_solver = plan.method->needs_statistics;
  plan.info.method = plan.method->name;
  plan.info.bits = plan.grid.bits;
  plan.info.group_size = plan.grid.group_size;
  plan.info.symmetric = plan.grid.symmetry != quant::Symmetry::asymmetric;
  plan.info.act_order = uses_solver && plan.solver.order == quant::ColumnOrder::act_order;
  plan.info.static_groups = plan.solver.static_groups || !plan.info.act_order;
  plan.info.damp = plan.solver.damp;
  plan.info.scale_dtype = plan.grid.scale_dtype;
  plan.info.outliers = plan.solver.super_weights;
  const runtime::Precision precision = runtime::effective(job.precision);
  plan.numerics = fmt::format("{}; {}; {}", sys::to_string(sys::checked_isas().front()), blas_description(),
                              runtime::to_string(precision));
  return plan;
}

bool needs_calibration(const JobPlan& plan) {
  bool needed = plan.method->needs_statistics;
  for (const transform::Transform& row : transform::transforms())
    needed = needed || (row.needs_statistics() && std::find(plan.transform.chain.begin(), plan.transform.chain.end(),
                                                            row.name) != plan.transform.chain.end());
  return needed;
}

Json method_options(const JobPlan& plan) {
  Json options = Json::object();
  for (const quant::MethodOption& option : plan.method->options)
    options[option.name] = quant::get_option(option.name, plan.grid, plan.solver);
  return options;
}

Json job_identity(const QuantizeJob& job, const LoadedSource& source, const JobPlan& plan,
                  const std::optional<CalibrationSet>& calibration) {
  Json identity{{"quernel", kVersion},         {"source", to_json(source.files)},
                {"method", plan.method->name}, {"options", method_options(plan)},
                {"ignore", job.ignore},        {"formats", job.formats}};
  if (!plan.transform.chain.empty())
    identity["preprocess"] = {{"name", transform::to_string(plan.transform.chain)},
                              {"options", transform::chain_options(plan.transform)}};
  if (!needs_calibration(plan)) return identity;
  identity["numerics"] = plan.numerics;
  if (job.simulated.any()) identity["simulated"] = runtime::to_string(job.simulated);
  if (calibration.has_value()) identity["calibration"] = calibration->description;
  return identity;
}

}  // namespace quernel::pipeline
