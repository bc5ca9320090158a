// JSON that comes from files: parsed with limits, duplicate keys refused. nlohmann::ordered_json keeps the order of
// keys, so that an edited config.json stays readable beside its source.
//
// Limits   text 256 MiB, depth 128, 2^23 values (docs/limits.md)
// Errors   corrupt with byte offset; limit_exceeded; out_of_memory. Nothing is thrown.
// Threads  pure functions
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_reader.h"
#include "base/result.h"

namespace quernel {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxJsonBytes = std::size_t{256} << 20;
// A value takes up to 100 bytes as a tree; the largest tokenizers known have 2 million.
constexpr std::int64_t kMaxJsonValues = std::int64_t{1} << 23;

// `file` names the source in errors. A byte order mark at the start is skipped.
Result<Json> parse_json(std::string_view text, const std::string& file);

// Typed access to a member. Errors name the field and what was found there: not_found if it is absent, corrupt if it
// has another type. A whole number is a number; a number with a fraction or exponent is not a whole one.
Result<std::int64_t> json_int(const Json& object, const std::string& key);
Result<double> json_number(const Json& object, const std::string& key);
Result<std::string> json_string(const Json& object, const std::string& key);
Result<bool> json_bool(const Json& object, const std::string& key);
// The member, or the default where it is absent or null; a member of another type is an error.
Result<std::int64_t> json_int_or(const Json& object, const std::string& key, std::int64_t fallback);
Result<double> json_number_or(const Json& object, const std::string& key, double fallback);
Result<std::string> json_string_or(const Json& object, const std::string& key, const std::string& fallback);
Result<bool> json_bool_or(const Json& object, const std::string& key, bool fallback);

// Dumps never throw: invalid UTF-8 becomes U+FFFD.
std::string dump_json(const Json& value, int indent = -1);

}  // namespace quernel
