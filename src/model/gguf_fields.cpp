#include "model/gguf_fields.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>

#include "io/gguf.h"

namespace quernel::model {

namespace {

// Keys of the file; the getters below name them in full.
const io::GgufMetadata& metadata(const io::GgufFile& file) { return file.metadata(); }

Error array_error(const io::GgufFile& file, const std::string& key) {
  return Error(Fault::unsupported, "values that differ from layer to layer are not supported")
      .in_file(file.path())
      .in_field(key)
      .expect("one value", "an array");
}

bool is_array(const io::GgufFile& file, const std::string& key) {
  const io::GgufValue* value = metadata(file).find(key);
  return value != nullptr && value->kind == io::GgufKind::array;
}

}  // namespace

bool GgufFields::has(const std::string& key) const { return metadata(*file_).has(prefix_ + key); }

Result<std::int64_t> GgufFields::integer(const std::string& key) const {
  const std::string full = prefix_ + key;
  if (is_array(*file_, full)) return array_error(*file_, full);
  return metadata(*file_).i64(full);
}

Result<std::int64_t> GgufFields::integer_or(const std::string& key, std::int64_t fallback) const {
  if (!has(key)) return fallback;
  return integer(key);
}

Result<double> GgufFields::number(const std::string& key) const {
  const std::string full = prefix_ + key;
  if (is_array(*file_, full)) return array_error(*file_, full);
  QUERNEL_TRY(const float value, metadata(*file_).f32(full));
  if (!std::isfinite(value)) return Error(Fault::corrupt, "number is not finite").in_file(file_->path()).in_field(full);
  return std::strtod(fmt::format("{}", value).c_str(), nullptr);
}

Result<double> GgufFields::number_or(const std::string& key, double fallback) const {
  if (!has(key)) return fallback;
  return number(key);
}

Result<std::string> GgufFields::string(const std::string& key) const {
  QUERNEL_TRY(const std::string_view text, metadata(*file_).string(prefix_ + key));
  return std::string(text);
}

Result<std::string> GgufFields::string_or(const std::string& key, const std::string& fallback) const {
  if (!has(key)) return fallback;
  return string(key);
}

Result<bool> GgufFields::boolean_or(const std::string& key, bool fallback) const {
  return metadata(*file_).boolean_or(prefix_ + key, fallback);
}

}  // namespace quernel::model
