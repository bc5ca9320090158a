// quernel inspect, quernel verify
#include <memory>
#include <string>

#include "quernel/commands.h"
#include "quernel/options.h"
#include "quernel/quernel.h"
#include "quernel/terminal.h"

namespace quernel::app {

void add_inspect(CLI::App& app, Context& context) {
  auto path = std::make_shared<std::string>();
  CLI::App* command =
      app.add_subcommand("inspect", "What a checkpoint holds: architecture, tensors, quantization, bits a weight");
  command->add_option("model", *path, "Model folder or GGUF file")->required();
  add_common(*command, context);
  name_variables(*command);
  command->callback([path, &context] {
    context.chosen = [path, &context] {
      const api::Report report = api::inspect(*path);
      print_report(context, report.json, report.text);
      return 0;
    };
  });
}

void add_verify(CLI::App& app, Context& context) {
  struct Settings {
    std::string output;
    std::string against;
  };
  auto settings = std::make_shared<Settings>();
  CLI::App* command =
      app.add_subcommand("verify", "Is a written checkpoint whole, as it was computed, and this source's?");
  command->add_option("output", settings->output, "Folder that `quernel quantize` wrote")->required();
  command->add_option("--against", settings->against, "The source it was made from: also compares tensors and logits");
  add_common(*command, context);
  name_variables(*command);
  command->callback([settings, &context] {
    context.chosen = [settings, &context] {
      ProgressPrinter printer(context.progress);
      const api::Report report = api::verify(settings->output, settings->against, printer.observer());
      print_report(context, report.json, report.text);
      return 0;
    };
  });
}

}  // namespace quernel::app
