// quernel methods, quernel version
#include "quernel/commands.h"
#include "quernel/options.h"
#include "quernel/quernel.h"

namespace quernel::app {

namespace {

void add_simple(CLI::App& app, Context& context, const char* name, const char* help, api::Report (*report)()) {
  CLI::App* command = app.add_subcommand(name, help);
  command->add_flag("--json", context.json, "Print JSON");
  command->callback([&context, report] {
    context.chosen = [&context, report] {
      const api::Report result = report();
      print_report(context, result.json, result.text);
      return 0;
    };
  });
}

}  // namespace

void add_methods(CLI::App& app, Context& context) {
  add_simple(app, context, "methods", "Quantization methods, their options and defaults", api::methods);
}

void add_version(CLI::App& app, Context& context) {
  add_simple(app, context, "version", "Version, instruction set and libraries in use", api::version);
}

}  // namespace quernel::app
