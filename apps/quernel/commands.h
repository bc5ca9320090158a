// The sub-commands. Each adds its options to the parser and, when chosen, sets what main is to run.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

namespace quernel::app {

struct Context {
  std::vector<std::string> arguments;  // as typed, without the program's name
  std::string progress = "auto";       // auto, plain, none
  bool json = false;
  bool verbose = false;
  std::function<int()> chosen;  // set by the sub-command that was named; returns the exit code
};

void add_quantize(CLI::App& app, Context& context);
void add_compare(CLI::App& app, Context& context);
void add_eval(CLI::App& app, Context& context);
void add_inspect(CLI::App& app, Context& context);
void add_verify(CLI::App& app, Context& context);
void add_tokenize(CLI::App& app, Context& context);
void add_run(CLI::App& app, Context& context);
void add_bench(CLI::App& app, Context& context);
void add_methods(CLI::App& app, Context& context);
void add_version(CLI::App& app, Context& context);
void add_completion(CLI::App& app, Context& context);

}  // namespace quernel::app
