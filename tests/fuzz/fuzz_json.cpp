// The JSON reader: never crashes, says where, and accepts exactly what the library accepts, apart from duplicate keys and limits.
#include <string>

#include "base/json.h"
#include "fuzz.h"

using quernel::Json;
using quernel::fuzz::expect;

namespace {

// Typed access to whatever is there.
void visit(const Json& value) {
  for (const char* key : {"a", "b", "dtype", ""}) {
    (void)quernel::json_int(value, key).ok();
    (void)quernel::json_number_or(value, key, 1.0).ok();
    (void)quernel::json_string(value, key).ok();
    (void)quernel::json_bool_or(value, key, false).ok();
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(quernel::fuzz::as_text(data, size));
  const auto ours = quernel::parse_json(text, "f");
  if (!ours.ok()) {
    const quernel::Error& error = ours.error();
    expect(error.offset.has_value() && *error.offset <= size, "an error has an offset inside the text");
    if (error.fault == quernel::Fault::limit_exceeded || error.message.starts_with("duplicate key")) return 0;
    if (text.find('\0') != std::string::npos) return 0;  // the library takes a NUL for the end of the text
    expect(Json::parse(text, nullptr, false).is_discarded(), "the library refuses it as well");
    return 0;
  }
  const Json theirs = Json::parse(text, nullptr, false);
  expect(!theirs.is_discarded(), "the library accepts it as well");
  expect(quernel::dump_json(*ours) == quernel::dump_json(theirs), "both read the same");
  const auto again = quernel::parse_json(quernel::dump_json(*ours), "f");
  expect(again.ok() && quernel::dump_json(*again) == quernel::dump_json(*ours), "what is written can be read");
  visit(*ours);
  return 0;
}
