// quernel bench
#include <memory>

#include "quernel/commands.h"
#include "quernel/options.h"
#include "quernel/quernel.h"
#include "quernel/terminal.h"

namespace quernel::app {

void add_bench(CLI::App& app, Context& context) {
  auto options = std::make_shared<api::BenchOptions>();
  CLI::App* command = app.add_subcommand("bench", "Measure the speed of a model in the integer runtime");
  command->add_option("model", options->engine.path, "Model folder or GGUF file")->required();
  const CLI::Range any(0, 1 << 20);
  command->add_option("-p,--prompt", options->prompts, "Tokens of prompts to read; 0: none")
      ->delimiter(',')
      ->check(any)
      ->capture_default_str();
  command->add_option("-n,--generate", options->generates, "Tokens to generate; 0: none")
      ->delimiter(',')
      ->check(any)
      ->capture_default_str();
  command->add_option("-d,--depth", options->depths, "Tokens in the cache before")
      ->delimiter(',')
      ->check(any)
      ->capture_default_str();
  command->add_option("-b,--batch", options->batches, "Sequences that generate at once")
      ->delimiter(',')
      ->check(CLI::Range(1, 512))
      ->capture_default_str();
  command->add_option("-r,--repeats", options->repeats, "Repeats of each test, after one that warms up")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_flag("--profile", options->profile, "Where the time of each test goes");
  command->add_flag("--csv", options->csv, "A line a test for spreadsheets, in place of the table");
  add_engine(*command, options->engine);
  add_common(*command, context);
  name_variables(*command);
  command->callback([options, &context] {
    context.chosen = [options, &context] {
      ProgressPrinter printer(context.progress);
      const api::Report report = api::bench(*options, printer.observer());
      print_report(context, report.json, report.text);
      return 0;
    };
  });
}

}  // namespace quernel::app
