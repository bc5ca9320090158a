// The head of a GGUF file: never crashes; tensors lie inside the file in order; every value can be read; blocks can be decoded.
#include <vector>

#include "codec/gguf_blocks.h"
#include "fuzz.h"
#include "io/entry_checks.h"
#include "io/gguf_parser.h"

using quernel::fuzz::expect;

namespace {

void read_values(const quernel::io::GgufMetadata& metadata) {
  for (const auto& [key, value] : metadata.pairs()) {
    expect(metadata.find(key) == &value, "a key is found");
    (void)quernel::io::to_string(value).size();
    (void)metadata.u32(key).ok();
    (void)metadata.i64(key).ok();
    (void)metadata.f32(key).ok();
    (void)metadata.boolean(key).ok();
    (void)metadata.string(key).ok();
    (void)metadata.integers(key).ok();
    (void)metadata.floats(key).ok();
    (void)metadata.strings(key).ok();
  }
}

void decode(const quernel::io::GgufTensor& tensor, std::span<const std::byte> file) {
  constexpr std::uint64_t kMostElements = 1 << 16;
  const auto* traits = quernel::codec::find_ggml_type(tensor.type);
  const auto elements = quernel::io::checked_num_elements(tensor.shape);
  expect(elements.has_value(), "the number of elements does not wrap");
  if (traits == nullptr || !traits->decodable || *elements > kMostElements) return;
  std::vector<float> values(*elements);
  const auto blocks = file.subspan(tensor.offset_bytes, tensor.size_bytes);
  expect(quernel::codec::dequantize_gguf(traits->type, blocks, values).ok(), "a checked tensor can be decoded");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = quernel::fuzz::as_bytes(data, size);
  const auto header = quernel::io::parse_gguf_header(file, "f");
  if (!header.ok()) {
    expect(header.error().offset.has_value() && *header.error().offset <= size,
           "an error has an offset inside the file");
    expect(!quernel::to_string(header.error()).empty(), "an error can be told");
    return 0;
  }
  read_values(header->metadata);
  std::uint64_t next = header->data_offset_bytes;
  for (const auto& tensor : header->tensors) {
    expect(tensor.offset_bytes >= next && tensor.offset_bytes <= size, "tensors follow each other");
    expect(tensor.size_bytes <= size - tensor.offset_bytes, "tensors lie inside the file");
    decode(tensor, file);
    next = tensor.offset_bytes + tensor.size_bytes;
  }
  return 0;
}
