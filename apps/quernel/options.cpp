#include "quernel/options.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>

#include "quernel/quernel.h"

namespace quernel::app {

namespace {

std::string upper_snake(const std::string& name) {
  std::string upper = "QUERNEL_";
  for (const char c : name) upper += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return upper;
}

}  // namespace

std::vector<std::string> with_kebab_case(std::vector<std::string> arguments) {
  for (std::string& argument : arguments) {
    if (argument == "--") break;  // what follows is no option
    if (!argument.starts_with("--")) continue;
    const auto end = argument.begin() + static_cast<std::ptrdiff_t>(std::min(argument.find('='), argument.size()));
    std::replace(argument.begin(), end, '_', '-');
  }
  return arguments;
}

void name_variables(CLI::App& command) {
  for (CLI::Option* option : command.get_options())
    if (!option->get_lnames().empty() && option->get_lnames().front() != "help" &&
        option->get_lnames().front() != "config")
      option->envname(upper_snake(option->get_lnames().front()));
}

void add_common(CLI::App& command, Context& context) {
  command
      .add_option("--progress", context.progress,
                  "Progress on standard error: auto (a live line on a terminal), plain, none")
      ->check(CLI::IsMember({"auto", "plain", "none"}))
      ->capture_default_str();
  command.add_flag("--json", context.json, "Print the result as JSON");
}

void add_threads(CLI::App& command, int& threads) {
  command.add_option("--threads,-t", threads, "Threads; 0: all cores of this process")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
}

namespace {

// What --act-bits of simulated low bits leaves open.
void add_simulated_shape(CLI::App& command, api::SimulatedBits& bits, const std::string& group) {
  command.add_option("--act-group", bits.activation_group, "Entries of a token that share a scale; -1: all of them")
      ->group(group)
      ->capture_default_str();
  command.add_flag("--act-asym", bits.activation_asymmetric, "Rounded inputs with a zero point")->group(group);
  command.add_option("--kv-bits", bits.kv_bits, "Keys and values rounded to 8 or 4 bits, per head and token; 16: not")
      ->check(CLI::IsMember({16, 8, 4}))
      ->group(group)
      ->capture_default_str();
}

}  // namespace

void add_simulated(CLI::App& command, api::SimulatedBits& bits, const std::string& group) {
  command
      .add_option("--act-bits", bits.activation_bits, "Inputs of the blocks' linears rounded to 8 or 4 bits; 16: not")
      ->check(CLI::IsMember({16, 8, 4}))
      ->group(group)
      ->capture_default_str();
  add_simulated_shape(command, bits, group);
}

void add_simulated_or_integer(CLI::App& command, api::SimulatedBits& bits, const std::string& group) {
  command
      .add_option("--act-bits", bits.activation_bits,
                  "Inputs of the blocks' linears rounded to 8 or 4 bits, 16: not; with --precision int8: 8, in two "
                  "parts: 16, or auto: 8 for weights made for it")
      ->transform(CLI::CheckedTransformer(std::map<std::string, int>{{"auto", 0}, {"16", 16}, {"8", 8}, {"4", 4}}))
      ->group(group)
      ->default_str("16");
  add_simulated_shape(command, bits, group);
}

void add_kv_budget(CLI::App& command, std::uint64_t& bytes, const std::string& help) {
  command.add_option("--kv-budget", bytes, help)->transform(CLI::AsSizeValue(false))->capture_default_str();
}

void add_engine(CLI::App& command, api::EngineOptions& options) {
  add_threads(command, options.threads);
  command
      .add_option("--decode-threads", options.decode_threads,
                  "Threads where few tokens are computed at once; 0: as --threads")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  command
      .add_option("--act-bits", options.activation_bits,
                  "Inputs of linears in 8 bits, or in two parts: 16; auto: 8 for weights made for it (qoq)")
      ->transform(CLI::CheckedTransformer(std::map<std::string, int>{{"auto", 0}, {"8", 8}, {"16", 16}}))
      ->default_str("auto");
  command.add_option("--kv-bits", options.kv_bits, "Keys and values in the cache")
      ->check(CLI::IsMember({16, 8, 4}))
      ->capture_default_str();
  add_kv_budget(command, options.kv_budget, "Bytes for the cache (2G, 512M)");
  command
      .add_option("--packed", options.packed_cache,
                  "Packed weights beside the model: auto (kept where packing takes long, read where they fit), off")
      ->transform(CLI::CheckedTransformer(std::map<std::string, bool>{{"auto", true}, {"off", false}}))
      ->default_str("auto");
}

const CLI::App* find_subcommand(const CLI::App& app, const std::string& name) {
  for (const CLI::App* command : app.get_subcommands({}))
    if (command->get_name() == name) return command;
  return nullptr;
}

std::string nearest_name(const CLI::App& app, const std::vector<std::string>& arguments, const std::string& typed) {
  const CLI::App* level = &app;
  for (const std::string& argument : arguments)
    if (const CLI::App* next = find_subcommand(*level, argument); next != nullptr) level = next;
  std::vector<std::string> known;
  if (typed.starts_with("-")) {
    for (const CLI::Option* option : level->get_options())
      for (const std::string& long_name : option->get_lnames()) known.push_back("--" + long_name);
  } else {
    for (const CLI::App* command : level->get_subcommands({})) known.push_back(command->get_name());
  }
  return api::nearest_word(known, typed);
}

void print_report(const Context& context, const std::string& json, const std::string& text) {
  std::cout << (context.json ? json + "\n" : text) << std::flush;
}

std::string read_input(const std::string& path) {
  if (path == "-") return {std::istreambuf_iterator<char>(std::cin), {}};
  std::ifstream file(path, std::ios::binary);
  if (!file) throw api::Failure(api::FailureKind::run_time, "cannot open [file " + path + "]");
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace quernel::app
