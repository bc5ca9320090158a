// quernel tokenize
#include <charconv>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "quernel/commands.h"
#include "quernel/options.h"
#include "quernel/quernel.h"

namespace quernel::app {

namespace {

struct Settings {
  std::string path;
  std::string input = "-";
  bool add_special = false;
  bool keep_special = false;
  bool decode = false;
};

std::vector<std::int32_t> parse_ids(const std::string& text) {
  std::vector<std::int32_t> ids;
  const char* cursor = text.data();
  const char* end = cursor + text.size();
  const auto is_separator = [](char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == ','; };
  while (cursor != end) {
    if (is_separator(*cursor)) {
      ++cursor;
      continue;
    }
    std::int32_t id = 0;
    const auto [next, failure] = std::from_chars(cursor, end, id);
    if (failure != std::errc() || (next != end && !is_separator(*next)))
      throw api::Failure(api::FailureKind::run_time, "not a token id [offset " + std::to_string(cursor - text.data()) +
                                                         ", expected integers and spaces]");
    ids.push_back(id);
    cursor = next;
  }
  return ids;
}

std::string join_ids(const std::vector<std::int32_t>& ids, bool json) {
  std::string text = json ? "[" : "";
  for (std::size_t i = 0; i < ids.size(); ++i) text += (i == 0 ? "" : json ? "," : " ") + std::to_string(ids[i]);
  return text + (json ? "]\n" : "\n");
}

int run(const Settings& settings, const Context& context) {
  const api::Tokenizer tokenizer = api::Tokenizer::open(settings.path);
  const std::string input = read_input(settings.input);
  std::cout << (settings.decode ? tokenizer.decode(parse_ids(input), !settings.keep_special)
                                : join_ids(tokenizer.encode(input, settings.add_special), context.json))
            << std::flush;
  return 0;
}

}  // namespace

void add_tokenize(CLI::App& app, Context& context) {
  auto settings = std::make_shared<Settings>();
  CLI::App* command = app.add_subcommand("tokenize", "Text on standard input to token ids, or back with --decode");
  command->add_option("model", settings->path, "tokenizer.json, model folder or GGUF file")->required();
  command->add_option("--input,-i", settings->input, "File to read; -: standard input")->capture_default_str();
  command->add_flag("--add-special", settings->add_special, "Add BOS and EOS as the vocabulary says");
  command->add_flag("--decode", settings->decode, "Ids to text");
  command->add_flag("--keep-special", settings->keep_special, "With --decode: show special tokens too");
  command->add_flag("--json", context.json, "Ids as a JSON array");
  name_variables(*command);
  command->callback(
      [settings, &context] { context.chosen = [settings, &context] { return run(*settings, context); }; });
}

}  // namespace quernel::app
