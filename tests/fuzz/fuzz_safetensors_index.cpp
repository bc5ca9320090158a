// The index of shards: never crashes; every file it names is a plain name.
#include "fuzz.h"
#include "io/safetensors_set.h"
#include "sys/mapped_file.h"

using quernel::fuzz::expect;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto lines = quernel::io::parse_safetensors_index(quernel::fuzz::as_text(data, size), "f");
  if (!lines.ok()) {
    expect(!quernel::to_string(lines.error()).empty(), "an error can be told");
    return 0;
  }
  for (const auto& line : *lines) {
    expect(quernel::sys::is_plain_file_name(line.file) && line.file.ends_with(".safetensors"),
           "the file is a plain name");
    expect(!line.tensor.empty(), "the tensor has a name");
  }
  return 0;
}
