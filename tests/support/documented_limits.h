// The tables of docs/limits.md, for tests that hold them against the code.
#pragma once

#include <cstdint>
#include <map>
#include <sstream>
#include <string>

#include "support/temp_folder.h"

namespace quernel::test {

using Limits = std::map<std::string, std::uint64_t>;

// Rows "| kName | value | why |" below the heading "## section".
inline Limits documented_limits(const std::string& section) {
  Limits limits;
  std::istringstream lines(read_text(QUERNEL_SOURCE_DIR "/docs/limits.md"));
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("## ")) inside = line == "## " + section;
    if (!inside || !line.starts_with("| k")) continue;
    std::istringstream cells(line);
    std::string bar;
    std::string name;
    std::uint64_t value = 0;
    cells >> bar >> name >> bar >> value;
    limits[name] = value;
  }
  return limits;
}

}  // namespace quernel::test
