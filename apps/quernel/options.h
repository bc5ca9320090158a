// What all sub-commands do alike with options.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "quernel/commands.h"
#include "quernel/quernel.h"

namespace quernel::app {

// `--calib_samples=4` becomes `--calib-samples=4`: both spellings are in use in the field.
std::vector<std::string> with_kebab_case(std::vector<std::string> arguments);

// Gives every option of the sub-command its variable QUERNEL_<NAME>.
void name_variables(CLI::App& command);

// --threads, --progress, --json, -v: what long commands share.
void add_common(CLI::App& command, Context& context);
void add_threads(CLI::App& command, int& threads);
// --act-bits, --act-group, --act-asym, --kv-bits.
void add_simulated(CLI::App& command, api::SimulatedBits& bits, const std::string& group);
// The same where they may mean the integer runtime's bits instead: --act-bits takes auto too, which becomes 0.
void add_simulated_or_integer(CLI::App& command, api::SimulatedBits& bits, const std::string& group);
// A size such as 2G or 512M.
void add_kv_budget(CLI::App& command, std::uint64_t& bytes, const std::string& help);

// --threads, --act-bits, --kv-bits, --kv-budget, --packed of the integer runtime.
void add_engine(CLI::App& command, api::EngineOptions& options);

// The sub-command of that name, or null.
const CLI::App* find_subcommand(const CLI::App& app, const std::string& name);

// The option or sub-command nearest to a mistyped one, among those that could stand where it stands, or an empty string.
std::string nearest_name(const CLI::App& app, const std::vector<std::string>& arguments, const std::string& typed);

// Prints a report on standard output: JSON or text.
void print_report(const Context& context, const std::string& json, const std::string& text);

// A whole file or standard input ("-"). Throws api::Failure.
std::string read_input(const std::string& path);

}  // namespace quernel::app
