// Text that is built into the program, so that a model can be quantized without any file beside it.
//
// mixed-v1 was written and generated for this project (src/calib/corpus, tools/make_corpus.py) and carries its licence:
// prose on many subjects, dialogue, source code, Korean and other scripts, mathematics, markup and data. A corpus never
// changes under its name; its SHA-256 stands in every report.
//
// Threads  pure functions
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace quernel::calib {

struct BuiltinCorpus {
  std::string_view name;  // "builtin:mixed-v1"
  std::string_view text;  // UTF-8
};

constexpr std::string_view kDefaultCorpus = "builtin:mixed-v1";

std::span<const BuiltinCorpus> builtin_corpora();
bool is_builtin_name(std::string_view name);  // begins with "builtin:"
// Errors: not_found, listing the names there are.
Result<BuiltinCorpus> find_builtin(std::string_view name);

}  // namespace quernel::calib
