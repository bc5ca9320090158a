// quernel: the command. Parses, runs one sub-command, turns failures into one line and an exit code (docs/cli.md).
#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>
#include <new>
#include <string>
#include <vector>

#include "quernel/commands.h"
#include "quernel/options.h"
#include "quernel/quernel.h"

namespace {

using quernel::api::Failure;
using quernel::api::FailureKind;

int fail(FailureKind kind, const std::string& message) {
  std::cerr << "quernel: " << message << '\n';
  return static_cast<int>(kind);
}

void describe(CLI::App& app) {
  app.name("quernel");
  app.require_subcommand(1);
  app.set_config("--config", "", "Options from a TOML or INI file; the command line wins")->envname("QUERNEL_CONFIG");
  app.footer(
      "Examples:\n"
      "  quernel quantize MODEL -o OUT --bits 4 --format gptq,compressed-tensors\n"
      "  quernel eval ppl OUT --text wiki.test.raw\n"
      "  quernel run OUT -p \"The capital of France is\" -n 16\n"
      "Every option has a variable QUERNEL_<NAME>. Exit codes: 0 ok, 1 run-time error, 2 usage, 3 bad model,\n"
      "4 memory or disk, 5 verification, 6 work of another job, 130 interrupted (resumable).");
}

// The first argument that is neither a sub-command where one must stand nor an option of the one chosen; the parser itself would
// complain about what is missing first.
std::string unknown_argument(const CLI::App& app, const std::vector<std::string>& arguments) {
  const CLI::App* level = &app;
  for (const std::string& argument : arguments) {
    if (argument == "--") return {};
    if (argument.starts_with("--")) {
      const std::string name = argument.substr(0, argument.find('='));
      if (level->get_option_no_throw(name) == nullptr && app.get_option_no_throw(name) == nullptr) return name;
    } else if (!argument.starts_with("-") && !level->get_subcommands({}).empty()) {
      const CLI::App* next = quernel::app::find_subcommand(*level, argument);
      if (next == nullptr) return argument;
      level = next;
    }
  }
  return {};
}

int usage(const CLI::App& app, const CLI::ParseError& error, const std::vector<std::string>& arguments) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) return app.exit(error);  // --help
  std::string message = error.what();
  if (const std::string unknown = unknown_argument(app, arguments); !unknown.empty()) {
    message = (unknown.starts_with("-") ? "unknown option " : "unknown command ") + unknown;
    const std::string nearest = quernel::app::nearest_name(app, arguments, unknown);
    if (!nearest.empty()) message += ", did you mean " + nearest + "?";
  }
  return fail(FailureKind::usage, message + "\nTry 'quernel --help' or 'quernel COMMAND --help'.");
}

int run(int argc, char** argv) {
  CLI::App app("Quantizes language models on CPUs and proves what it wrote.");
  quernel::app::Context context;
  context.arguments = quernel::app::with_kebab_case({argv + 1, argv + argc});
  describe(app);
  quernel::app::add_quantize(app, context);
  quernel::app::add_compare(app, context);
  quernel::app::add_eval(app, context);
  quernel::app::add_inspect(app, context);
  quernel::app::add_verify(app, context);
  quernel::app::add_tokenize(app, context);
  quernel::app::add_run(app, context);
  quernel::app::add_bench(app, context);
  quernel::app::add_methods(app, context);
  quernel::app::add_version(app, context);
  quernel::app::add_completion(app, context);
  try {
    std::vector<std::string> reversed(context.arguments.rbegin(), context.arguments.rend());
    app.parse(std::move(reversed));
  } catch (const CLI::ParseError& error) {
    return usage(app, error, context.arguments);
  }
  quernel::api::check_environment();
  quernel::api::install_signal_handlers();
  return context.chosen();
}

}  // namespace

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  try {
    return run(argc, argv);
  } catch (const Failure& failure) {
    return fail(failure.kind(), failure.what());
  } catch (const std::bad_alloc&) {
    return fail(FailureKind::resources, "out of memory");
  } catch (const std::exception& error) {
    return fail(FailureKind::run_time, error.what());
  }
}
