// quernel quantize
#include <memory>

#include "quernel/commands.h"
#include "quernel/options.h"
#include "quernel/quernel.h"
#include "quernel/terminal.h"

namespace quernel::app {

namespace {

struct Settings {
  api::QuantizeOptions options;
  bool symmetric = false;
  bool asymmetric = false;
  bool full_range = false;
  bool dynamic_groups = false;
};

void add_grid_options(CLI::App& command, Settings& settings) {
  api::QuantizeOptions& options = settings.options;
  const char* group = "Grid";
  command.add_option("--method,-m", options.method, "Quantization method; see `quernel methods`")->group(group)->capture_default_str();
  command.add_option("--bits,-b", options.bits, "Bits a weight: 2, 3, 4, 8")->group(group)->capture_default_str();
  command.add_option("--group-size,-g", options.group_size,
                     "Weights that share a scale; -1: one a row; 0: the largest of 128, 64, 32 that fits the model")
      ->group(group)
      ->capture_default_str();
  auto* sym = command.add_flag("--sym", settings.symmetric, "Symmetric grid (default)")->group(group);
  auto* asym = command.add_flag("--asym", settings.asymmetric, "Asymmetric grid: an integer zero point a group")->group(group);
  auto* full = command.add_flag("--full-range", settings.full_range, "Symmetric grid whose larger side uses all codes")->group(group);
  sym->excludes(asym, full);
  asym->excludes(full);
  command.add_option("--search", options.search, "How a group's scale is found: weighted-mse (by the input's energy), mse, minmax")
      ->group(group)
      ->capture_default_str();
  command.add_option("--search-steps", options.search_steps, "Scales that are tried")->group(group)->capture_default_str();
  command.add_option("--search-min", options.search_min_factor, "Smallest scale tried, as a share of the full range")
      ->group(group)
      ->capture_default_str();
  command.add_option("--scale-dtype", options.scale_dtype, "Type of stored scales: auto, f16, bf16, f32")
      ->group(group)
      ->capture_default_str();
  command.add_option("--ignore", options.ignore, "Modules that stay dense: a regular expression; may be repeated")->group(group);
}

void add_solver_options(CLI::App& command, Settings& settings) {
  api::QuantizeOptions& options = settings.options;
  const char* group = "Solver";
  command.add_option("--order", options.order, "Order of columns: act-order, group-aware, natural")->group(group)->capture_default_str();
  command.add_flag("--act-order", [&options](std::int64_t) { options.order = "act-order"; }, "Short for --order act-order")
      ->group(group);
  command.add_flag("--dynamic-groups", settings.dynamic_groups,
                   "Find a group's scale when the loop reaches it; with act-order this needs a group index in the file")
      ->group(group);
  command.add_option("--damp", options.damp, "Damping: share of the mean diagonal added to the Hessian")->group(group)->capture_default_str();
  command.add_option("--block-size", options.block_size, "Columns whose updates are delayed together")->group(group)->capture_default_str();
  command.add_flag("--strict", options.strict, "A module that falls back to plain rounding is an error")->group(group);
}

void add_calibration_options(CLI::App& command, Settings& settings) {
  api::QuantizeOptions& options = settings.options;
  const char* group = "Calibration";
  command.add_option("--calib", options.calibration, "Text files (.txt, .jsonl, ...); default: a built-in mixed corpus")
      ->delimiter(',')
      ->group(group);
  command.add_option("--calib-field", options.calibration_field, "Field of JSONL records")->group(group)->capture_default_str();
  command.add_option("--calib-samples", options.calibration_samples, "Samples")->check(CLI::Range(1, 1 << 20))->group(group)->capture_default_str();
  command.add_option("--calib-seqlen", options.calibration_length, "Tokens of a sample")->check(CLI::Range(1, 1 << 20))->group(group)->capture_default_str();
  command.add_option("--calib-mode", options.calibration_mode, "random: places drawn by the seed; first: from the start on")
      ->group(group)
      ->capture_default_str();
  command.add_option("--seed,--calib-seed", options.seed, "Seed")->group(group)->capture_default_str();
  command.add_option("--precision", options.precision, "Products of calibration: bf16 where the CPU is faster with it, or f32")
      ->group(group)
      ->capture_default_str();
}

void add_running_options(CLI::App& command, Settings& settings) {
  api::QuantizeOptions& options = settings.options;
  const char* group = "Running";
  command.add_option("--format,-f", options.formats, "Checkpoint formats, comma separated: compressed-tensors, gptq")
      ->delimiter(',')
      ->group(group)
      ->capture_default_str();
  command.add_flag("--resume", options.resume, "Go on where an earlier run of this job stopped")->group(group);
  command.add_flag("--overwrite", options.overwrite, "Replace an output folder that Quernel wrote")->group(group);
  command.add_option("--work-dir", options.work_dir, "Folder for unfinished work; default: OUT.job")->group(group);
  command.add_flag("--keep-work-dir", options.keep_work_dir, "Do not remove it at the end")->group(group);
  command.add_option("--save-every", options.save_seconds, "Seconds between saved states; 0: at every layer")
      ->group(group)
      ->capture_default_str();
  command.add_option("--max-memory", options.max_memory_bytes, "Ceiling, as 16G; refused up front where the job needs more")
      ->transform(CLI::AsSizeValue(false))
      ->group(group);
}

int run(Settings& settings, const Context& context) {
  api::QuantizeOptions& options = settings.options;
  options.symmetry = settings.asymmetric ? "asymmetric" : settings.full_range ? "full-range" : "symmetric";
  options.static_groups = !settings.dynamic_groups;
  for (const std::string& argument : context.arguments) options.command += (options.command.empty() ? "quernel " : " ") + argument;
  ProgressPrinter printer(context.progress);
  const api::Report report = api::quantize(options, printer.observer());
  print_report(context, report.json, report.text);
  return 0;
}

}  // namespace

void add_quantize(CLI::App& app, Context& context) {
  auto settings = std::make_shared<Settings>();
  CLI::App* command = app.add_subcommand("quantize", "Quantize a model and write a checkpoint that is verified");
  command->add_option("model", settings->options.source, "Hugging Face folder or GGUF file")->required();
  command->add_option("--output,-o", settings->options.output, "Folder to write")->required();
  add_grid_options(*command, *settings);
  add_solver_options(*command, *settings);
  add_calibration_options(*command, *settings);
  add_running_options(*command, *settings);
  add_threads(*command, settings->options.threads);
  add_common(*command, context);
  name_variables(*command);
  command->callback([settings, &context] { context.chosen = [settings, &context] { return run(*settings, context); }; });
}

}  // namespace quernel::app
