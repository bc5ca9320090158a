// quernel compare
#include <memory>

#include "quernel/commands.h"
#include "quernel/options.h"
#include "quernel/quernel.h"
#include "quernel/terminal.h"

namespace quernel::app {

namespace {

struct Settings {
  api::CompareOptions options;
  std::vector<std::string> methods{"rtn", "gptq"};
  std::vector<std::string> preprocesses;  // empty: each method's own
  std::vector<std::string> bits{"4"};
  std::vector<std::string> vary;
};

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  for (std::size_t from = 0; from <= text.size();) {
    const std::size_t to = std::min(text.find(separator, from), text.size());
    parts.push_back(text.substr(from, to - from));
    from = to + 1;
  }
  return parts;
}

int run(Settings& settings, const Context& context) {
  api::CompareOptions& options = settings.options;
  options.axes = {{"method", settings.methods}, {"bits", settings.bits}};
  if (!settings.preprocesses.empty()) options.axes.insert(options.axes.begin(), {"preprocess", settings.preprocesses});
  for (const std::string& axis : settings.vary) {
    const std::size_t equals = axis.find('=');
    if (equals == std::string::npos)
      throw api::Failure(api::FailureKind::usage, "--vary takes NAME=VALUE,VALUE: '" + axis + "'");
    options.axes.emplace_back(axis.substr(0, equals), split(axis.substr(equals + 1), ','));
  }
  ProgressPrinter printer(context.progress);
  const api::Report report = api::compare(options, printer.observer());
  print_report(context, report.json, report.text);
  return 0;
}

void add_job_options(CLI::App& command, Settings& settings) {
  api::QuantizeOptions& base = settings.options.base;
  command.add_option("--methods", settings.methods, "Methods, comma separated")->delimiter(',')->capture_default_str();
  command.add_option("--preprocess", settings.preprocesses, "Transforms, comma separated; default: each method's own")
      ->delimiter(',');
  command.add_option("--bits,-b", settings.bits, "Bits, comma separated")->delimiter(',')->capture_default_str();
  command.add_option("--vary", settings.vary,
                     "One more axis: an option of the methods and its values, as group-size=64,128; may be repeated");
  command.add_option_function<std::string>(
      "--group-size,-g", [&base](const std::string& value) { base.method_options["group-size"] = value; },
      "Weights that share a scale, for all cells");
  command.add_option_function<std::string>(
      "--symmetry", [&base](const std::string& value) { base.method_options["symmetry"] = value; },
      "asym, sym or full-range, for all cells");
  command.add_option("--calib", base.calibration, "Calibration text; default: a built-in mixed corpus")->delimiter(',');
  command.add_option("--calib-samples", base.calibration_samples, "Samples")->capture_default_str();
  command.add_option("--calib-seqlen", base.calibration_length, "Tokens of a sample")->capture_default_str();
  command.add_option("--seed", base.seed, "Seed")->capture_default_str();
  command.add_option("--format,-f", base.formats, "Checkpoint format")->delimiter(',')->capture_default_str();
}

}  // namespace

void add_compare(CLI::App& app, Context& context) {
  auto settings = std::make_shared<Settings>();
  api::CompareOptions& options = settings->options;
  CLI::App* command = app.add_subcommand(
      "compare", "Quantize in several ways and judge all of them on one text; goes on where it was stopped");
  command->add_option("model", options.base.source, "Hugging Face folder or GGUF file")->required();
  command->add_option("--output,-o", options.base.output, "Folder for compare.json, .md, .csv and the cells")
      ->required();
  command->add_option("--text", options.text_path, "Held-out text: nothing that calibration sees")->required();
  command->add_option("--from-byte", options.first_byte, "The text begins here")->capture_default_str();
  command->add_option("--ctx", options.context, "Tokens of a window; second halves are scored")->capture_default_str();
  command->add_option("--windows", options.windows, "Only the first windows; 0: all")->capture_default_str();
  command->add_flag("--keep", options.keep_checkpoints, "Keep the checkpoints of the cells");
  add_job_options(*command, *settings);
  add_threads(*command, options.base.threads);
  add_common(*command, context);
  name_variables(*command);
  command->callback(
      [settings, &context] { context.chosen = [settings, &context] { return run(*settings, context); }; });
}

}  // namespace quernel::app
