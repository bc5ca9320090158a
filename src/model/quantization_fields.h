// Fields that every quantization_config has under one name or another. For *_config.cpp of this wing.
//
// Errors   unsupported and corrupt with the field
// Threads  pure functions
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>

#include "base/json.h"
#include "base/result.h"

namespace quernel::model {

// The first of several names under which tools write the same field that is present; else the first of all.
std::string first_key(const Json& object, std::initializer_list<const char*> names);

// 2, 3, 4 or 8; `any`: 2 .. 8.
Result<int> read_bits(const Json& object, const std::string& key, bool any);

// -1 or 1 .. 2^20.
Result<std::int64_t> check_group_size(std::int64_t size, const std::string& key);

}  // namespace quernel::model
