#include "text/json_capture.h"

#include <fmt/format.h>

#include <string>
#include <variant>

namespace quernel::text {
namespace {

// The reader bounds the nesting, and with it the recursion.
Result<Json> capture(JsonReader& reader, std::size_t& left) {
  if (left-- == 0) {
    return Error(Fault::limit_exceeded, fmt::format("more than {} values in a component", kMaxCapturedValues))
        .in_file(reader.file())
        .at(reader.offset());
  }
  QUERNEL_TRY(const JsonKind kind, reader.peek());
  std::string text;
  switch (kind) {
    case JsonKind::object: {
      Json object = Json::object();
      QUERNEL_TRY_STATUS(reader.begin_object());
      while (true) {
        QUERNEL_TRY(const bool more, reader.next_key(text));
        if (!more) return object;
        if (object.contains(text)) return reader.error("a key twice in an object");
        QUERNEL_TRY(object[text], capture(reader, left));
      }
    }
    case JsonKind::array: {
      Json array = Json::array();
      QUERNEL_TRY_STATUS(reader.begin_array());
      while (true) {
        QUERNEL_TRY(const bool more, reader.next_element());
        if (!more) return array;
        QUERNEL_TRY(Json element, capture(reader, left));
        array.push_back(std::move(element));
      }
    }
    case JsonKind::string: {
      QUERNEL_TRY_STATUS(reader.read_string(text));
      return Json(std::move(text));
    }
    case JsonKind::number: {
      QUERNEL_TRY(const JsonNumber number, reader.read_number());
      return std::visit([](auto value) { return Json(value); }, number);
    }
    case JsonKind::boolean: {
      QUERNEL_TRY(const bool value, reader.read_bool());
      return Json(value);
    }
    case JsonKind::null: break;
  }
  QUERNEL_TRY_STATUS(reader.read_null());
  return Json(nullptr);
}

}  // namespace

Result<Json> capture_value(JsonReader& reader) {
  std::size_t left = kMaxCapturedValues;
  return capture(reader, left);
}

Status skip_value(JsonReader& reader) {
  QUERNEL_TRY(const Json ignored, capture_value(reader));
  return ok_status();
}

}  // namespace quernel::text
