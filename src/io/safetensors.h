// A safetensors file, mapped: names, types, shapes and bytes of its tensors.
//
// Layout   views point into the map, row-major, little-endian, aligned to nothing
// Errors   as io/safetensors_header.h, and those of opening; view: not_found, unsupported for a dtype we cannot compute
//          with
// Threads  const functions from any thread
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "io/safetensors_header.h"
#include "sys/mapped_file.h"
#include "tensor/tensor_view.h"

namespace quernel::io {

class SafetensorsFile {
 public:
  static Result<SafetensorsFile> open(const std::string& path);
  // For files named by data: the name is opened beneath the folder and nowhere else (sys/mapped_file.h).
  static Result<SafetensorsFile> open_contained(const std::string& folder, const std::string& name);

  [[nodiscard]] const std::string& path() const { return file_.path(); }
  [[nodiscard]] std::uint64_t size_bytes() const { return file_.bytes().size(); }
  [[nodiscard]] const std::vector<SafetensorsEntry>& entries() const { return header_.entries; }  // in file order
  [[nodiscard]] const SafetensorsHeader& header() const { return header_; }
  [[nodiscard]] const SafetensorsEntry* find(const std::string& name) const;

  // `entry` is one of this file's.
  [[nodiscard]] std::span<const std::byte> bytes(const SafetensorsEntry& entry) const;
  [[nodiscard]] Result<TensorView> view(const SafetensorsEntry& entry) const;
  [[nodiscard]] Result<TensorView> view(const std::string& name) const;

  // Drops resident pages of a tensor; they come back from disk when read again.
  void release(const SafetensorsEntry& entry) const;

 private:
  static Result<SafetensorsFile> from_map(sys::MappedFile file);

  sys::MappedFile file_;
  SafetensorsHeader header_;
  std::vector<std::uint32_t> by_name_;  // indices into entries, names ascending
};

}  // namespace quernel::io
