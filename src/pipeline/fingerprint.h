// What makes two runs the same job: everything that can change an output byte.
//
// source files by content, the resolved specification, the calibration tokens, the program's version, and the numeric mode
// (instruction set, library, precision), since float sums differ between those. Not part of it: threads, memory ceiling,
// folders, what is shown.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace quernel::pipeline {

struct FileIdentity {
  std::string name;  // without folders
  std::uint64_t bytes = 0;
  std::string sha256;
};

// Reads each file once, in order; does not map it, so resident memory stays small.
Result<std::vector<FileIdentity>> identify_files(const std::vector<std::string>& paths);
Json to_json(const std::vector<FileIdentity>& files);

struct Difference {
  std::string field;  // "grid.bits"
  std::string stored;
  std::string wanted;
};

// The first field in which two identities differ, in the order of `wanted`.
std::optional<Difference> first_difference(const Json& stored, const Json& wanted);

}  // namespace quernel::pipeline
