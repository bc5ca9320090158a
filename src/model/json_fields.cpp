#include "model/json_fields.h"

#include <cmath>

namespace quernel::model {

Result<OptionalInt> json_optional_int(const Json& object, const std::string& key, OptionalInt if_absent) {
  const auto member = object.find(key);
  if (member == object.end()) return if_absent;
  if (member->is_null()) return OptionalInt{};
  QUERNEL_TRY(const std::int64_t value, json_int(object, key));
  return OptionalInt{value};
}

namespace {

Result<double> check_is_finite(double value, const std::string& key) {
  if (std::isfinite(value)) return value;
  return Error(Fault::corrupt, "number is not finite").in_field(key);
}

}  // namespace

Result<double> json_finite(const Json& object, const std::string& key) {
  QUERNEL_TRY(const double value, json_number(object, key));
  return check_is_finite(value, key);
}

Result<double> json_finite_or(const Json& object, const std::string& key, double if_absent_or_null) {
  QUERNEL_TRY(const double value, json_number_or(object, key, if_absent_or_null));
  return check_is_finite(value, key);
}

const Json* json_member(const Json& object, const std::string& key) {
  if (!object.is_object()) return nullptr;
  const auto member = object.find(key);
  return member == object.end() || member->is_null() ? nullptr : &*member;
}

Result<std::vector<std::int64_t>> json_int_list(const Json& object, const std::string& key, OptionalInt if_absent) {
  std::vector<std::int64_t> values;
  const Json* member = json_member(object, key);
  if (member == nullptr || !member->is_array()) {
    QUERNEL_TRY(const OptionalInt value, json_optional_int(object, key, if_absent));
    if (value) values.push_back(*value);
    return values;
  }
  for (const Json& element : *member) {
    if (!element.is_number_integer() ||
        (element.is_number_unsigned() && !std::in_range<std::int64_t>(element.get<std::uint64_t>())))
      return Error(Fault::corrupt, "list holds something else than whole numbers")
          .in_field(key)
          .expect("whole numbers", json_excerpt(element));
    values.push_back(element.get<std::int64_t>());
  }
  return values;
}

std::string json_excerpt(const Json& value) {
  constexpr std::size_t kLongest = 60;
  std::string text = dump_json(value);
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
  return text;
}

}  // namespace quernel::model
