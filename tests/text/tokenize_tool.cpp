// The C++ side of tests/peers/tokenizer_agreement.py: `quernel tokenize` without the rest of the command, and with a
// stopwatch.
//
// usage: quernel_tokenize PATH [--add-special] [--decode [--keep-special]] [--time N] < text
//        PATH is a tokenizer.json, a folder with one, or a GGUF file. --time: CPU seconds of loading, of the first and
//        of the best of N encodings, on stderr
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "text/gguf_source.h"
#include "text/tokenizer.h"

namespace {

struct Options {
  std::string path;
  bool add_special = false;
  bool decode = false;
  bool keep_special = false;
  int repeats = 0;
};

std::string read_all(std::istream& in) { return {std::istreambuf_iterator<char>(in), {}}; }

quernel::Result<quernel::text::Tokenizer> open(std::string path) {
  if (std::filesystem::is_directory(path)) path += "/tokenizer.json";
  if (!path.ends_with(".json")) return quernel::test::open_gguf_tokenizer(path);
  std::ifstream in(path, std::ios::binary);
  return quernel::text::Tokenizer::from_json(read_all(in), path);
}

std::vector<std::int32_t> parse_ids(const std::string& text) {
  std::vector<std::int32_t> ids;
  const char* at = text.data();
  const char* end = at + text.size();
  while (at < end) {
    std::int32_t id = 0;
    const auto [next, failure] = std::from_chars(at, end, id);
    if (failure == std::errc()) ids.push_back(id);
    at = next == at ? at + 1 : next;
  }
  return ids;
}

// CPU time of this process, so that a busy machine does not show.
double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

int run(const Options& options) {
  const double start = cpu_seconds();
  const auto tokenizer = open(options.path);
  if (!tokenizer.ok()) {
    std::cerr << quernel::to_string(tokenizer.error()) << "\n";
    return 3;
  }
  const double load_seconds = cpu_seconds() - start;
  const std::string input = read_all(std::cin);
  if (options.decode) {
    std::cout << tokenizer->decode(parse_ids(input), !options.keep_special);
    return 0;
  }
  std::vector<std::int32_t> ids;
  double first = 0;
  double best = 0;
  for (int i = 0; i <= std::max(options.repeats, 1) - 1; ++i) {
    const double begin = cpu_seconds();
    ids = tokenizer->encode(input, {.add_special = options.add_special});
    const double seconds = cpu_seconds() - begin;
    if (i == 0) first = seconds;
    best = i == 0 ? seconds : std::min(best, seconds);
  }
  if (options.repeats > 0) std::fprintf(stderr, "load %.4f first %.6f best %.6f\n", load_seconds, first, best);
  std::string out;
  for (const std::int32_t id : ids) out += (out.empty() ? "" : " ") + std::to_string(id);
  std::cout << out << "\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--add-special") {
      options.add_special = true;
    } else if (argument == "--decode") {
      options.decode = true;
    } else if (argument == "--keep-special") {
      options.keep_special = true;
    } else if (argument == "--time" && i + 1 < argc) {
      options.repeats = std::stoi(argv[++i]);
    } else {
      options.path = argument;
    }
  }
  if (options.path.empty()) {
    std::cerr << "usage: quernel_tokenize PATH [--add-special] [--decode [--keep-special]] [--time N] < text\n";
    return 2;
  }
  return run(options);
}
