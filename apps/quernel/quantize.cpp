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
  bool act_order = false;
};

// The options of all methods, from their registry: a new method's options appear here by themselves.
void add_method_options(CLI::App& command, Settings& settings) {
  const char* group = "Method";
  command
      .add_option("--method,-m", settings.options.method,
                  "Quantization method, see `quernel methods`; auto: what measures best of several, each a whole job")
      ->group(group)
      ->capture_default_str();
  std::string choices;
  for (const std::string& choice : api::preprocess_choices()) choices += (choices.empty() ? "" : "|") + choice;
  command
      .add_option("--preprocess,-p", settings.options.preprocess,
                  "Change of the model before it is quantized: " + choices)
      ->group(group)
      ->default_str("the method's own");
  for (const api::MethodOption& row : api::method_options()) {
    const std::string short_name = row.name == "bits" ? ",-b" : row.name == "group-size" ? ",-g" : "";
    const std::string default_text = row.name == "group-size" ? "largest of 128, 64, 32 that fits" : row.default_value;
    command
        .add_option_function<std::string>(
            "--" + row.name + short_name,
            [&settings, name = row.name](const std::string& value) { settings.options.method_options[name] = value; },
            row.help + " (" + row.choices + ")")
        ->group(group)
        ->default_str(default_text);
  }
  auto* sym = command.add_flag("--sym", settings.symmetric, "Short for --symmetry sym")->group(group);
  auto* asym = command.add_flag("--asym", settings.asymmetric, "Short for --symmetry asym")->group(group);
  auto* full = command.add_flag("--full-range", settings.full_range, "Short for --symmetry full-range")->group(group);
  sym->excludes(asym, full);
  asym->excludes(full);
  command.add_flag("--act-order", settings.act_order, "Short for --order act-order")->group(group);
  command
      .add_option("--ignore", settings.options.ignore, "Modules that stay dense: a regular expression; may be repeated")
      ->group(group);
  command.add_flag("--strict", settings.options.strict, "A module that falls back to plain rounding is an error")
      ->group(group);
}

void add_calibration_options(CLI::App& command, Settings& settings) {
  api::QuantizeOptions& options = settings.options;
  const char* group = "Calibration";
  command
      .add_option("--calib", options.calibration, "Text files (.txt, .jsonl, ...); default: a built-in mixed corpus")
      ->delimiter(',')
      ->group(group);
  command.add_option("--calib-field", options.calibration_field, "Field of JSONL records")
      ->group(group)
      ->capture_default_str();
  command.add_option("--calib-samples", options.calibration_samples, "Samples")
      ->check(CLI::Range(1, 1 << 20))
      ->group(group)
      ->capture_default_str();
  command.add_option("--calib-seqlen", options.calibration_length, "Tokens of a sample")
      ->check(CLI::Range(1, 1 << 20))
      ->group(group)
      ->capture_default_str();
  command
      .add_option("--calib-mode", options.calibration_mode,
                  "random: places drawn by the seed; first: from the start on")
      ->group(group)
      ->capture_default_str();
  command.add_option("--seed,--calib-seed", options.seed, "Seed")->group(group)->capture_default_str();
  command
      .add_option("--precision", options.precision,
                  "Products of calibration: bf16 where the CPU is faster with it, or f32")
      ->group(group)
      ->capture_default_str();
}

void add_running_options(CLI::App& command, Settings& settings) {
  api::QuantizeOptions& options = settings.options;
  const char* group = "Running";
  command
      .add_option("--format,-f", options.formats,
                  "Checkpoint formats, comma separated: compressed-tensors, gptq, awq, quernel")
      ->delimiter(',')
      ->group(group)
      ->default_str("compressed-tensors, or what the method is written in");
  command.add_flag("--resume", options.resume, "Go on where an earlier run of this job stopped")->group(group);
  command
      .add_flag("--overwrite", options.overwrite,
                "Start anew: replace an output that Quernel wrote, and discard unfinished work")
      ->group(group);
  command.add_option("--work-dir", options.work_dir, "Folder for unfinished work; default: OUT.job")->group(group);
  command.add_flag("--keep-work-dir", options.keep_work_dir, "Do not remove it at the end")->group(group);
  command.add_option("--save-every", options.save_seconds, "Seconds between saved states; 0: at every layer")
      ->group(group)
      ->capture_default_str();
  command
      .add_flag("--require-sane", options.require_sane,
                "Exit with 5 where the result's answers to prompts loop, end at once or break, unlike the source's")
      ->group(group);
  command
      .add_option("--max-kld", options.max_kld,
                  "Exit with 5 where the mean divergence on held-out calibration text is larger; 0: not measured")
      ->group(group)
      ->capture_default_str();
  command
      .add_option("--max-memory", options.max_memory_bytes,
                  "Ceiling, as 16G; refused up front where the job needs more")
      ->transform(CLI::AsSizeValue(false))
      ->group(group);
}

int run(Settings& settings, const Context& context) {
  api::QuantizeOptions& options = settings.options;
  if (settings.symmetric) options.method_options["symmetry"] = "sym";
  if (settings.asymmetric) options.method_options["symmetry"] = "asym";
  if (settings.full_range) options.method_options["symmetry"] = "full-range";
  if (settings.act_order) options.method_options["order"] = "act-order";
  for (const std::string& argument : context.arguments)
    options.command += (options.command.empty() ? "quernel " : " ") + argument;
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
  add_method_options(*command, *settings);
  add_calibration_options(*command, *settings);
  add_simulated(*command, settings->options.simulated, "Simulated while calibrating");
  add_running_options(*command, *settings);
  add_threads(*command, settings->options.threads);
  add_common(*command, context);
  name_variables(*command);
  command->callback(
      [settings, &context] { context.chosen = [settings, &context] { return run(*settings, context); }; });
}

}  // namespace quernel::app
