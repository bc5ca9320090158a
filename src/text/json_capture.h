// One value of a JsonReader as a tree: for parts of a large file that are small themselves.
//
// Limits   kMaxCapturedValues; nesting as the reader's
// Errors   those of the reader, at its offsets; corrupt for a key twice
// Threads  pure functions
#pragma once

#include <cstddef>

#include "base/json.h"
#include "base/json_reader.h"
#include "base/result.h"

namespace quernel::text {

constexpr std::size_t kMaxCapturedValues = 100'000;

Result<Json> capture_value(JsonReader& reader);
// Reads past a value of any kind.
Status skip_value(JsonReader& reader);

}  // namespace quernel::text
