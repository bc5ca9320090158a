// The safetensors header: never crashes; what it accepts covers the file, without overlap, in bytes that are there.
#include "fuzz.h"
#include "io/entry_checks.h"
#include "io/safetensors_header.h"

using quernel::fuzz::expect;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto header = quernel::io::parse_safetensors_header(quernel::fuzz::as_bytes(data, size), "f");
  if (!header.ok()) {
    expect(header.error().offset.has_value() && *header.error().offset <= size,
           "an error has an offset inside the file");
    expect(!quernel::to_string(header.error()).empty(), "an error can be told");
    return 0;
  }
  std::uint64_t next = header->data_offset_bytes;
  for (const auto& entry : header->entries) {
    expect(entry.offset_bytes == next && entry.size_bytes <= size - next, "tensors follow each other");
    const auto elements = quernel::io::checked_num_elements(entry.shape);
    const auto bits = quernel::io::safetensors_dtype_bits(entry.dtype_name);
    expect(elements.has_value() && *elements * bits == entry.size_bytes * 8, "the size is that of dtype and shape");
    expect(quernel::io::is_tensor_name(entry.name), "the name is one");
    next += entry.size_bytes;
  }
  expect(next == size, "nothing is left over");
  return 0;
}
