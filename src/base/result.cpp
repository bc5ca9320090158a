#include "base/result.h"

#include <fmt/format.h>

#include <iterator>

namespace quernel {

const char* to_string(Fault fault) {
  switch (fault) {
    case Fault::invalid_argument: return "invalid argument";
    case Fault::usage: return "usage";
    case Fault::not_found: return "not found";
    case Fault::io_error: return "i/o error";
    case Fault::corrupt: return "corrupt";
    case Fault::unsupported: return "unsupported";
    case Fault::limit_exceeded: return "limit exceeded";
    case Fault::out_of_memory: return "out of memory";
    case Fault::out_of_disk: return "out of disk";
    case Fault::verification_failed: return "verification failed";
    case Fault::incompatible_state: return "incompatible state";
    case Fault::interrupted: return "interrupted";
  }
  return "unknown fault";
}

Error&& Error::in_file(std::string value) && {
  if (file.empty()) file = std::move(value);
  return std::move(*this);
}

Error&& Error::in_tensor(std::string value) && {
  if (tensor.empty()) tensor = std::move(value);
  return std::move(*this);
}

Error&& Error::in_field(std::string value) && {
  if (field.empty()) field = std::move(value);
  return std::move(*this);
}

Error&& Error::at(std::uint64_t offset_bytes) && {
  if (!offset.has_value()) offset = offset_bytes;
  return std::move(*this);
}

Error&& Error::expect(std::string expected_in, std::string found_in) && {
  if (expected.empty()) expected = std::move(expected_in);
  if (found.empty()) found = std::move(found_in);
  return std::move(*this);
}

Error&& Error::with_hint(std::string value) && {
  if (hint.empty()) hint = std::move(value);
  return std::move(*this);
}

std::string to_string(const Error& error) {
  std::string where;
  auto add = [&where](const char* name, const std::string& value) {
    if (value.empty()) return;
    fmt::format_to(std::back_inserter(where), "{}{} {}", where.empty() ? "" : ", ", name, value);
  };
  add("file", error.file);
  add("tensor", error.tensor);
  add("field", error.field);
  if (error.offset.has_value()) add("offset", fmt::format("{}", *error.offset));
  add("expected", error.expected);
  add("found", error.found);
  std::string text = fmt::format("{}: {}", to_string(error.fault), error.message);
  if (!where.empty()) fmt::format_to(std::back_inserter(text), " [{}]", where);
  if (!error.hint.empty()) fmt::format_to(std::back_inserter(text), " hint: {}", error.hint);
  return text;
}

}  // namespace quernel
