// Typed access to the metadata of a GGUF file beneath a prefix ("llama.").
//
// Units    f32 values come back as the double that is written with the same shortest digits: 1e-5f reads as 1e-5
// Errors   not_found, corrupt (another type), unsupported (an array where one value for all layers is expected), with
//          file and field
// Threads  const functions from any thread
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace quernel::io {
class GgufFile;
}  // namespace quernel::io

namespace quernel::model {

class GgufFields {
 public:
  // The file must outlive this object. `prefix` ends with its dot, or is empty.
  GgufFields(const io::GgufFile& file, std::string prefix) : file_(&file), prefix_(std::move(prefix)) {}

  [[nodiscard]] bool has(const std::string& key) const;
  [[nodiscard]] Result<std::int64_t> integer(const std::string& key) const;
  [[nodiscard]] Result<std::int64_t> integer_or(const std::string& key, std::int64_t fallback) const;
  [[nodiscard]] Result<double> number(const std::string& key) const;
  [[nodiscard]] Result<double> number_or(const std::string& key, double fallback) const;
  [[nodiscard]] Result<std::string> string(const std::string& key) const;
  [[nodiscard]] Result<std::string> string_or(const std::string& key, const std::string& fallback) const;
  [[nodiscard]] Result<bool> boolean_or(const std::string& key, bool fallback) const;

  [[nodiscard]] std::string full_key(const std::string& key) const { return prefix_ + key; }
  [[nodiscard]] const io::GgufFile& file() const { return *file_; }

 private:
  const io::GgufFile* file_;
  std::string prefix_;
};

}  // namespace quernel::model
