// Fields of a config.json where an absent key and null mean different things, as they do in Transformers: an absent key
// takes the family's default, null means "none".
//
// Errors   not_found and corrupt with the field; the caller adds the file
// Threads  pure functions
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/json.h"
#include "base/result.h"

namespace quernel::model {

using OptionalInt = std::optional<std::int64_t>;

Result<OptionalInt> json_optional_int(const Json& object, const std::string& key, OptionalInt if_absent);
Result<double> json_finite_or(const Json& object, const std::string& key, double if_absent_or_null);
Result<double> json_finite(const Json& object, const std::string& key);
// The member where it is present and not null.
const Json* json_member(const Json& object, const std::string& key);
// A whole number or a list of them; absent: if_absent.
Result<std::vector<std::int64_t>> json_int_list(const Json& object, const std::string& key, OptionalInt if_absent);
// What an error shows of a value: at most 60 characters.
std::string json_excerpt(const Json& value);

}  // namespace quernel::model
