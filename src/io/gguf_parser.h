// The head of a GGUF file (versions 2 and 3, little-endian), read from its bytes and checked whole.
//
// Layout   magic, version, counts, metadata, tensor infos, padding to general.alignment, data
// Shapes   listed outermost first: the file's own order reversed, [rows, cols] for a matrix
// Memory   grows with what was read, never with a count that the file declares
// Limits   io/limits.h
// Errors   corrupt, limit_exceeded, unsupported (other versions, big-endian, withdrawn tensor types), with file,
// tensor, field
//          and byte offset
// Threads  pure function
// Source   the GGUF format and the checks of its reference reader, which wants tensors in listing order without gaps
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/gguf_metadata.h"
#include "tensor/tensor_view.h"

namespace quernel::io {

struct GgufTensor {
  std::string name;
  Shape shape;                     // outermost first; the last is the row that blocks divide
  std::uint32_t type = 0;          // number in the file
  std::string type_name;           // "Q4_K"; "type 99" for a number that is not known
  bool is_known_type = true;       // false: size_bytes is what lies between this tensor and the next
  std::uint64_t offset_bytes = 0;  // from the start of the file
  std::uint64_t size_bytes = 0;
};

struct GgufHeader {
  std::uint32_t version = 3;
  std::uint64_t alignment_bytes = 32;
  std::uint64_t data_offset_bytes = 0;
  GgufMetadata metadata;            // points into the parsed bytes
  std::vector<GgufTensor> tensors;  // in file order
};

// `file` is the whole file and outlives the header; `file_name` stands in errors.
Result<GgufHeader> parse_gguf_header(std::span<const std::byte> file, const std::string& file_name);

}  // namespace quernel::io
