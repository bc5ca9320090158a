#include "io/entry_checks.h"

#include "base/checked.h"
#include "base/json_reader.h"
#include "io/limits.h"

namespace quernel::io {

bool is_tensor_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxTensorNameBytes) return false;
  while (!name.empty()) {
    const auto byte = static_cast<unsigned char>(name.front());
    const std::size_t length = utf8_sequence_length(name);
    if (length == 0 || byte < 0x20 || byte == 0x7F) return false;
    name.remove_prefix(length);
  }
  return true;
}

std::optional<std::uint64_t> checked_num_elements(const Shape& shape) {
  std::int64_t product = 1;
  bool empty = false;
  for (const std::int64_t dimension : shape) {
    if (dimension < 0) return std::nullopt;
    if (dimension == 0) {
      empty = true;
      continue;
    }
    const auto next = checked_mul(product, dimension);
    if (!next) return std::nullopt;
    product = *next;
  }
  return empty ? 0 : static_cast<std::uint64_t>(product);
}

}  // namespace quernel::io
