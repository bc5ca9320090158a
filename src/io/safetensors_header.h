// The header of a safetensors file, read from its bytes and checked whole.
//
// Layout   u64 header length N, N bytes of JSON ("name": {"dtype", "shape", "data_offsets": [begin, end)}), then data;
//          offsets count from byte 8 + N. Data has no hole, no overlap and no tail. Row-major, little-endian.
// Limits   io/limits.h
// Errors   corrupt, limit_exceeded, unsupported (a dtype with no known size), with file, tensor, field and byte offset
// Threads  pure function
// Source   the safetensors format and the checks of its reference reader; ours refuses control characters in names as
//          well
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "tensor/dtype.h"
#include "tensor/tensor_view.h"

namespace quernel::io {

struct SafetensorsEntry {
  std::string name;
  std::string dtype_name;      // as written: "BF16", "F8_E8M0", ...
  std::optional<DType> dtype;  // nothing for types that are legal but that we cannot compute with
  Shape shape;
  std::uint64_t offset_bytes = 0;  // from the start of the file
  std::uint64_t size_bytes = 0;
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;                      // in the order of their bytes in the file
  std::vector<std::pair<std::string, std::string>> metadata;  // in the order of the header
  std::uint64_t data_offset_bytes = 0;

  [[nodiscard]] const std::string* find_metadata(const std::string& key) const;
};

// `file` is the whole file, `file_name` stands in errors.
Result<SafetensorsHeader> parse_safetensors_header(std::span<const std::byte> file, const std::string& file_name);

// Bits of an element, 0 for a name that is not of the format.
unsigned safetensors_dtype_bits(std::string_view dtype_name);

}  // namespace quernel::io
