// quernel eval ppl, quernel eval kld, quernel eval tasks
#include <memory>
#include <string>
#include <vector>

#include "quernel/commands.h"
#include "quernel/options.h"
#include "quernel/quernel.h"
#include "quernel/terminal.h"

namespace quernel::app {

namespace {

void add_model(CLI::App& command, api::ModelOptions& model) {
  command.add_option("model", model.path, "Model folder or GGUF file")->required();
  command
      .add_option("--precision", model.precision,
                  "f32, or bf16: faster where the CPU has it, perplexity moves by about 0.1 %; int8: the integer "
                  "runtime of quernel run")
      ->check(CLI::IsMember({"f32", "bf16", "int8"}))
      ->capture_default_str();
  add_simulated_or_integer(command, model.simulated,
                           "Low bits: simulated, or of --precision int8, then auto and 8 unless given");
  add_kv_budget(command, model.integer.kv_budget, "Bytes for the cache (2G, 512M) of --precision int8");
  add_threads(command, model.threads);
}

bool is_given(const CLI::App& command, const std::string& option) { return command.count(option) > 0; }

// The bits as typed go to the runtime that --precision names; what only the other one knows is refused. Bits that were
// not typed are each runtime's own defaults.
void settle_bits(const CLI::App& command, api::ModelOptions& model) {
  const api::SimulatedBits typed = model.simulated;
  if (model.precision != "int8") {
    if (typed.activation_bits == 0) throw CLI::ValidationError("--act-bits", "auto is for --precision int8");
    return;
  }
  for (const char* option : {"--act-group", "--act-asym"})
    if (is_given(command, option)) throw CLI::ValidationError(option, "is simulated only, not for --precision int8");
  if (is_given(command, "--act-bits")) model.integer.activation_bits = typed.activation_bits;
  if (is_given(command, "--kv-bits")) model.integer.kv_bits = typed.kv_bits;
  model.simulated = {};
}

void add_ppl(CLI::App& eval, Context& context) {
  auto options = std::make_shared<api::PerplexityOptions>();
  CLI::App* command = eval.add_subcommand("ppl", "Perplexity on a text, with its standard error");
  add_model(*command, options->model);
  command->add_option("--text", options->text_path, "Text file")->required();
  command
      ->add_option("--convention", options->convention,
                   "gptq: rows joined by blank lines, whole windows of 2048; llama.cpp: raw text, second halves of 512")
      ->check(CLI::IsMember({"gptq", "llama.cpp"}))
      ->capture_default_str();
  command->add_option("--ctx", options->context, "Tokens of a window; 0: as the convention has it")
      ->capture_default_str();
  command->add_option("--windows", options->windows, "Only the first windows; 0: all")->capture_default_str();
  add_common(*command, context);
  name_variables(*command);
  command->callback([command, options, &context] {
    settle_bits(*command, options->model);
    context.chosen = [options, &context] {
      ProgressPrinter printer(context.progress);
      const api::Report report = api::evaluate_perplexity(*options, printer.observer());
      print_report(context, report.json, report.text);
      return 0;
    };
  });
}

void add_kld(CLI::App& eval, Context& context) {
  auto options = std::make_shared<api::KldOptions>();
  auto no_cache = std::make_shared<bool>(false);
  CLI::App* command =
      eval.add_subcommand("kld", "Kullback-Leibler divergence and top-1 agreement with a reference model");
  add_model(*command, options->model);
  command->add_option("--ref", options->reference_path, "Reference model: folder or GGUF file")->required();
  command->add_option("--text", options->text_path, "Text file")->required();
  command->add_option("--ctx", options->context, "Tokens of a window; second halves are scored")->capture_default_str();
  command->add_option("--windows", options->windows, "Only the first windows; 0: all")->capture_default_str();
  command->add_option("--from-byte", options->first_byte, "The text begins here, as for a held-out part of a file")
      ->capture_default_str();
  command->add_option("--max-kld", options->max_kld, "Exit with 5 where the mean is larger; 0: no gate")
      ->capture_default_str();
  command->add_flag("--no-cache", *no_cache, "Compute the reference anew and exactly; keep nothing");
  add_common(*command, context);
  name_variables(*command);
  command->callback([command, options, no_cache, &context] {
    settle_bits(*command, options->model);
    context.chosen = [options, no_cache, &context] {
      options->use_cache = !*no_cache;
      ProgressPrinter printer(context.progress);
      const api::Report report = api::evaluate_kld(*options, printer.observer());
      print_report(context, report.json, report.text);
      return 0;
    };
  });
}

std::vector<api::TaskFile> parse_tasks(const std::vector<std::string>& words) {
  std::vector<api::TaskFile> tasks;
  for (const std::string& word : words) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos)
      throw api::Failure(api::FailureKind::usage, "--task takes KIND=FILE: '" + word + "'");
    tasks.push_back({word.substr(0, equals), word.substr(equals + 1)});
  }
  return tasks;
}

void add_tasks(CLI::App& eval, Context& context) {
  auto options = std::make_shared<api::TasksOptions>();
  auto words = std::make_shared<std::vector<std::string>>();
  CLI::App* command = eval.add_subcommand("tasks", "Zero-shot accuracy on multiple-choice tasks and LAMBADA");
  add_model(*command, options->model);
  command
      ->add_option(
          "--task", *words,
          "KIND=FILE, may be repeated; kinds: piqa, arc, hellaswag, winogrande, lambada, choices (docs/cli.md)")
      ->allow_extra_args(false)
      ->required();
  command->add_option("--limit", options->limit, "Only the first items of each task; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  add_common(*command, context);
  name_variables(*command);
  command->callback([command, options, words, &context] {
    settle_bits(*command, options->model);
    context.chosen = [options, words, &context] {
      options->tasks = parse_tasks(*words);
      ProgressPrinter printer(context.progress);
      const api::Report report = api::evaluate_tasks(*options, printer.observer());
      print_report(context, report.json, report.text);
      return 0;
    };
  });
}

}  // namespace

void add_eval(CLI::App& app, Context& context) {
  CLI::App* eval =
      app.add_subcommand("eval", "Measure a model: perplexity, divergence from a reference, accuracy on tasks");
  eval->require_subcommand(1);
  add_ppl(*eval, context);
  add_kld(*eval, context);
  add_tasks(*eval, context);
}

}  // namespace quernel::app
