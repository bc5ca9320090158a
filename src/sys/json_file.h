// A JSON file read whole.
//
// Errors   those of opening (sys/mapped_file.h) and of parsing (base/json.h), naming the file
#pragma once

#include <string>

#include "base/json.h"
#include "base/result.h"

namespace quernel::sys {

Result<Json> read_json(const std::string& path);
// Beneath the folder, as MappedFile::open_contained().
Result<Json> read_json_contained(const std::string& folder, const std::string& name);

}  // namespace quernel::sys
