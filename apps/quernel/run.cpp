// quernel run
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <sstream>
#include <utility>

#include "quernel/commands.h"
#include "quernel/options.h"
#include "quernel/quernel.h"
#include "quernel/terminal.h"

namespace quernel::app {

namespace {

struct Settings {
  api::EngineOptions engine;
  std::string precision = "int8";
  api::GenerateOptions generate;
  std::string prompt;
  std::string prompt_file;
  bool greedy = false;
  bool stats = false;
  bool chat = false;
};

api::Generator open(const Settings& settings, const Context& context) {
  if (settings.precision == "int8") {
    ProgressPrinter printer(context.progress);
    return api::Generator::open(settings.engine, printer.observer());
  }
  api::ModelOptions model;
  model.path = settings.engine.path;
  model.threads = settings.engine.threads;
  model.precision = settings.precision;
  return api::Generator::open(model);
}

// Lines from standard input, answers on standard output, until the input ends.
int chat(const Settings& settings, const Context& context) {
  api::Generator generator = open(settings, context);
  const api::ChatForm form = generator.chat_form();
  std::string so_far;
  for (std::string line; std::cout << "> " << std::flush && std::getline(std::cin, line);) {
    if (line.empty()) continue;
    so_far += form.begin + line + form.end;
    const api::Report report = generator.complete(so_far, settings.generate, [&so_far](std::string_view piece) {
      so_far += piece;
      std::cout << piece << std::flush;
      return std::cout.good();
    });
    so_far += form.next;
    std::cout << '\n';
    if (settings.stats) std::cerr << report.text;
  }
  std::cout << '\n';
  return 0;
}

int run(Settings& settings, const Context& context) {
  if (settings.greedy) settings.generate.temperature = 0;
  if (settings.chat) return chat(settings, context);
  const std::string prompt = settings.prompt_file.empty() ? settings.prompt : read_input(settings.prompt_file);
  api::Generator generator = open(settings, context);
  const bool stream = !context.json;
  if (stream) std::cout << prompt << std::flush;
  const api::Report report = generator.complete(prompt, settings.generate, [stream](std::string_view piece) {
    if (stream) std::cout << piece << std::flush;
    return std::cout.good();
  });
  if (stream) std::cout << '\n';
  if (context.json) std::cout << report.json << '\n';
  if (settings.stats) std::cerr << report.text;
  return 0;
}

// ID=VALUE
std::pair<std::int32_t, double> parse_bias(const std::string& word) {
  std::istringstream in(word);
  std::int32_t id = 0;
  char equals = 0;
  std::string value;
  if (in >> id >> equals >> value && id >= 0 && equals == '=') {
    char* end = nullptr;
    const double number = std::strtod(value.c_str(), &end);
    if (end == value.c_str() + value.size() && (std::isfinite(number) || number == -INFINITY)) return {id, number};
  }
  throw CLI::ValidationError("--logit-bias", "ID=VALUE expected (17=-2.5, 17=-inf), found '" + word + "'");
}

void add_penalties(CLI::App& command, Settings& settings) {
  api::GenerateOptions& generate = settings.generate;
  command.add_option("--presence-penalty", generate.presence_penalty, "Taken from the logits of tokens that were seen")
      ->capture_default_str();
  command.add_option("--frequency-penalty", generate.frequency_penalty, "Taken from them each time they were seen")
      ->capture_default_str();
  command
      .add_option("--dry-multiplier", generate.dry_multiplier,
                  "DRY: tokens that would repeat a longer stretch become less likely; 0: off")
      ->capture_default_str();
  command.add_option("--dry-base", generate.dry_base, "How fast that grows with the stretch")->capture_default_str();
  command.add_option("--dry-allowed-length", generate.dry_allowed_length, "Stretches up to this long are free")
      ->capture_default_str();
  command
      .add_option_function<std::vector<std::string>>(
          "--logit-bias",
          [&generate](const std::vector<std::string>& words) {
            for (const std::string& word : words) generate.logit_bias.push_back(parse_bias(word));
          },
          "ID=VALUE is added to that token's logit, -inf: never; may be repeated")
      ->allow_extra_args(false);
}

}  // namespace

void add_run(CLI::App& app, Context& context) {
  auto settings = std::make_shared<Settings>();
  CLI::App* command = app.add_subcommand("run", "Continue a text");
  command->add_option("model", settings->engine.path, "Model folder or GGUF file")->required();
  command->add_option("--prompt,-p", settings->prompt, "Text to continue");
  command->add_option("--prompt-file", settings->prompt_file, "Read it from a file; -: standard input")
      ->excludes("--prompt");
  command->add_option("--max-tokens,-n", settings->generate.max_tokens, "Tokens to add at most")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command->add_flag("--greedy", settings->greedy, "Always the likeliest token (default)");
  command->add_option("--temp", settings->generate.temperature, "Temperature; 0: greedy")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  command->add_option("--top-k", settings->generate.top_k, "Only the k likeliest tokens; 0: all")
      ->capture_default_str();
  command->add_option("--top-p", settings->generate.top_p, "Only the likeliest tokens that hold this much together")
      ->capture_default_str();
  command
      ->add_option("--min-p", settings->generate.min_p,
                   "Only tokens with this share of the likeliest one's probability")
      ->capture_default_str();
  command
      ->add_option("--repeat-penalty", settings->generate.repetition_penalty, "Above 1: seen tokens become less likely")
      ->capture_default_str();
  add_penalties(*command, *settings);
  command->add_option("--stop", settings->generate.stop, "The text ends before this; may be repeated")
      ->allow_extra_args(false);
  command
      ->add_option(
          "--speculate", settings->generate.speculate,
          "Guess up to so many tokens from the text so far and verify them in one pass; the answer is the same")
      ->check(CLI::Range(0, 64))
      ->capture_default_str();
  command->add_flag("--context-shift", settings->generate.context_shift,
                    "Where the context is full, forget the oldest tokens and go on (models without sliding windows)");
  command->add_option("--keep", settings->generate.keep_tokens, "First tokens that --context-shift does not forget")
      ->check(CLI::Range(0, 1 << 24))
      ->capture_default_str();
  command->add_option("--seed", settings->generate.seed, "Seed of the sampler")->capture_default_str();
  command
      ->add_option("--precision", settings->precision,
                   "int8: the integer runtime; f32, or bf16 where the CPU is faster with it: floating point, without "
                   "--act-bits and --kv-bits")
      ->check(CLI::IsMember({"int8", "f32", "bf16"}))
      ->capture_default_str();
  command->add_flag("--chat", settings->chat, "Answer lines from standard input, each with what was said before");
  command->add_flag("--stats", settings->stats, "Speed and memory on standard error");
  command->add_flag("--json", context.json, "Print one JSON object at the end instead of streaming");
  add_engine(*command, settings->engine);
  name_variables(*command);
  command->callback(
      [settings, &context] { context.chosen = [settings, &context] { return run(*settings, context); }; });
}

}  // namespace quernel::app
