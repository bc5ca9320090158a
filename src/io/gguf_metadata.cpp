#include "io/gguf_metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <optional>

#include "base/checked.h"
#include "base/json.h"

namespace quernel::io {
namespace {

template <class T>
T load(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

bool is_integer(GgufKind kind) {
  return kind != GgufKind::f32 && kind != GgufKind::f64 && kind != GgufKind::string && kind != GgufKind::array;
}

// An integer or boolean of any kind; nothing for a u64 beyond 63 bits.
std::optional<std::int64_t> load_integer(GgufKind kind, const std::byte* bytes) {
  switch (kind) {
    case GgufKind::u8:
    case GgufKind::boolean: return load<std::uint8_t>(bytes);
    case GgufKind::i8: return load<std::int8_t>(bytes);
    case GgufKind::u16: return load<std::uint16_t>(bytes);
    case GgufKind::i16: return load<std::int16_t>(bytes);
    case GgufKind::u32: return load<std::uint32_t>(bytes);
    case GgufKind::i32: return load<std::int32_t>(bytes);
    case GgufKind::u64: return checked_cast<std::int64_t>(load<std::uint64_t>(bytes));
    case GgufKind::i64: return load<std::int64_t>(bytes);
    default: return std::nullopt;
  }
}

// Calls use(text) for the strings of a checked array, until it returns false.
template <class Use>
void for_each_string(const GgufValue& array, const Use& use) {
  const std::byte* at = array.bytes.data();
  for (std::uint64_t i = 0; i < array.num_elements; ++i) {
    const auto length = static_cast<std::size_t>(load<std::uint64_t>(at));
    at += sizeof(std::uint64_t);
    if (!use(std::string_view(reinterpret_cast<const char*>(at), length))) return;
    at += length;
  }
}

std::string quoted(std::string_view text) {
  constexpr std::size_t kShown = 120;
  return dump_json(Json(std::string(text.substr(0, kShown)))) + (text.size() > kShown ? "..." : "");
}

std::string scalar_to_string(GgufKind kind, const std::byte* bytes) {
  if (kind == GgufKind::f32) return fmt::format("{}", load<float>(bytes));
  if (kind == GgufKind::f64) return fmt::format("{}", load<double>(bytes));
  if (kind == GgufKind::boolean) return load<std::uint8_t>(bytes) != 0 ? "true" : "false";
  if (kind == GgufKind::u64) return fmt::format("{}", load<std::uint64_t>(bytes));
  return fmt::format("{}", load_integer(kind, bytes).value_or(0));
}

}  // namespace

GgufMetadata::GgufMetadata(std::vector<GgufPair> pairs, std::string file)
    : pairs_(std::move(pairs)), file_(std::move(file)) {
  by_key_.resize(pairs_.size());
  std::iota(by_key_.begin(), by_key_.end(), 0U);
  std::sort(by_key_.begin(), by_key_.end(), [this](auto a, auto b) { return pairs_[a].key < pairs_[b].key; });
}

const GgufValue* GgufMetadata::find(std::string_view key) const {
  const auto found =
      std::lower_bound(by_key_.begin(), by_key_.end(), key,
                       [this](std::uint32_t index, std::string_view wanted) { return pairs_[index].key < wanted; });
  if (found == by_key_.end() || pairs_[*found].key != key) return nullptr;
  return &pairs_[*found].value;
}

Result<const GgufValue*> GgufMetadata::require(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr) {
    return Error(Fault::not_found, "metadata key is missing").in_file(file_).in_field(std::string(key));
  }
  return value;
}

Result<const GgufValue*> GgufMetadata::require_array(std::string_view key) const {
  QUERNEL_TRY(const GgufValue* value, require(key));
  if (value->kind != GgufKind::array) return wrong_kind(key, *value, "array");
  return value;
}

Error GgufMetadata::wrong_kind(std::string_view key, const GgufValue& value, const char* expected) const {
  return Error(Fault::corrupt, "metadata value has the wrong kind or range")
      .in_file(file_)
      .in_field(std::string(key))
      .at(value.offset_bytes)
      .expect(expected, fmt::format("{} {}", to_string(value.kind), to_string(value)));
}

Result<std::int64_t> GgufMetadata::i64(std::string_view key) const {
  QUERNEL_TRY(const GgufValue* value, require(key));
  const bool integer = is_integer(value->kind) && value->kind != GgufKind::boolean;
  const auto number = integer ? load_integer(value->kind, value->bytes.data()) : std::nullopt;
  if (!number) return wrong_kind(key, *value, "integer of 63 bits");
  return *number;
}

Result<std::uint64_t> GgufMetadata::u64(std::string_view key) const {
  QUERNEL_TRY(const GgufValue* value, require(key));
  if (value->kind == GgufKind::u64) return load<std::uint64_t>(value->bytes.data());
  QUERNEL_TRY(const std::int64_t number, i64(key));
  const auto wide = checked_cast<std::uint64_t>(number);
  if (!wide) return wrong_kind(key, *value, "integer of at least 0");
  return *wide;
}

Result<std::uint32_t> GgufMetadata::u32(std::string_view key) const {
  QUERNEL_TRY(const std::uint64_t number, u64(key));
  const auto narrow = checked_cast<std::uint32_t>(number);
  if (!narrow) return wrong_kind(key, *find(key), "0 to 2^32 - 1");
  return *narrow;
}

Result<float> GgufMetadata::f32(std::string_view key) const {
  QUERNEL_TRY(const GgufValue* value, require(key));
  if (value->kind == GgufKind::f32) return load<float>(value->bytes.data());
  if (value->kind != GgufKind::f64) return wrong_kind(key, *value, "f32 or f64");
  const auto wide = load<double>(value->bytes.data());
  if (wide > std::numeric_limits<float>::max() || wide < std::numeric_limits<float>::lowest()) {
    return wrong_kind(key, *value, "a number that fits f32");
  }
  return static_cast<float>(wide);
}

Result<bool> GgufMetadata::boolean(std::string_view key) const {
  QUERNEL_TRY(const GgufValue* value, require(key));
  if (value->kind != GgufKind::boolean) return wrong_kind(key, *value, "bool");
  return load<std::uint8_t>(value->bytes.data()) != 0;
}

Result<std::string_view> GgufMetadata::string(std::string_view key) const {
  QUERNEL_TRY(const GgufValue* value, require(key));
  if (value->kind != GgufKind::string) return wrong_kind(key, *value, "string");
  return std::string_view(reinterpret_cast<const char*>(value->bytes.data()), value->bytes.size());
}

Result<std::uint32_t> GgufMetadata::u32_or(std::string_view key, std::uint32_t fallback) const {
  if (!has(key)) return fallback;
  return u32(key);
}
Result<float> GgufMetadata::f32_or(std::string_view key, float fallback) const {
  if (!has(key)) return fallback;
  return f32(key);
}
Result<bool> GgufMetadata::boolean_or(std::string_view key, bool fallback) const {
  if (!has(key)) return fallback;
  return boolean(key);
}
Result<std::string_view> GgufMetadata::string_or(std::string_view key, std::string_view fallback) const {
  if (!has(key)) return fallback;
  return string(key);
}

Result<std::vector<std::int64_t>> GgufMetadata::integers(std::string_view key) const {
  QUERNEL_TRY(const GgufValue* value, require_array(key));
  if (!is_integer(value->element_kind)) return wrong_kind(key, *value, "array of integers");
  const auto step = static_cast<std::size_t>(scalar_bytes(value->element_kind));
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(value->num_elements));
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const auto number = load_integer(value->element_kind, value->bytes.data() + i * step);
    if (!number) return wrong_kind(key, *value, "integers of 63 bits");
    numbers[i] = *number;
  }
  return numbers;
}

Result<std::vector<float>> GgufMetadata::floats(std::string_view key) const {
  QUERNEL_TRY(const GgufValue* value, require_array(key));
  if (value->element_kind != GgufKind::f32 && value->element_kind != GgufKind::f64) {
    return wrong_kind(key, *value, "array of f32 or f64");
  }
  const auto step = static_cast<std::size_t>(scalar_bytes(value->element_kind));
  std::vector<float> numbers(static_cast<std::size_t>(value->num_elements));
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const std::byte* at = value->bytes.data() + i * step;
    numbers[i] = value->element_kind == GgufKind::f32 ? load<float>(at) : static_cast<float>(load<double>(at));
  }
  return numbers;
}

Result<std::vector<std::string_view>> GgufMetadata::strings(std::string_view key) const {
  QUERNEL_TRY(const GgufValue* value, require_array(key));
  if (value->element_kind != GgufKind::string) return wrong_kind(key, *value, "array of strings");
  std::vector<std::string_view> texts;
  texts.reserve(static_cast<std::size_t>(value->num_elements));
  for_each_string(*value, [&texts](std::string_view text) {
    texts.push_back(text);
    return true;
  });
  return texts;
}

std::string to_string(const GgufValue& value, std::size_t max_elements) {
  if (value.kind == GgufKind::string) {
    return quoted({reinterpret_cast<const char*>(value.bytes.data()), value.bytes.size()});
  }
  if (value.kind != GgufKind::array) return scalar_to_string(value.kind, value.bytes.data());
  std::string text = fmt::format("[{} x {}]", value.num_elements, to_string(value.element_kind));
  std::size_t shown = 0;
  const auto append = [&](const std::string& item) { text += (shown++ == 0 ? " " : ", ") + item; };
  if (value.element_kind == GgufKind::string) {
    for_each_string(value, [&](std::string_view item) {
      if (shown >= max_elements) return false;
      append(quoted(item));
      return true;
    });
  } else {
    const auto step = static_cast<std::size_t>(scalar_bytes(value.element_kind));
    while (shown < max_elements && shown < value.num_elements) {
      append(scalar_to_string(value.element_kind, value.bytes.data() + shown * step));
    }
  }
  if (shown < value.num_elements) text += ", ...";
  return text;
}

}  // namespace quernel::io
