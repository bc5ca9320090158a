#include "model/quantization_fields.h"

#include <fmt/format.h>

#include "model/json_fields.h"

namespace quernel::model {

namespace {

constexpr std::int64_t kMaxGroupSize = std::int64_t{1} << 20;

}  // namespace

std::string first_key(const Json& object, std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (json_member(object, name) != nullptr) return name;
  return *names.begin();
}

Result<int> read_bits(const Json& object, const std::string& key, bool any) {
  QUERNEL_TRY(const std::int64_t bits, json_int(object, key));
  const bool known = any ? bits >= 2 && bits <= 8 : bits == 2 || bits == 3 || bits == 4 || bits == 8;
  if (!known)
    return Error(Fault::unsupported, "weights of this many bits cannot be read")
        .in_field(key)
        .expect(any ? "2 .. 8" : "2, 3, 4 or 8", std::to_string(bits));
  return static_cast<int>(bits);
}

Result<std::int64_t> check_group_size(std::int64_t size, const std::string& key) {
  if (size == -1 || (size >= 1 && size <= kMaxGroupSize)) return size;
  return Error(Fault::corrupt, "group size out of bounds")
      .in_field(key)
      .expect(fmt::format("-1 or 1 .. {}", kMaxGroupSize), std::to_string(size));
}

}  // namespace quernel::model
