// A GGUF file, mapped: metadata, tensors and their bytes. What the blocks hold: codec/gguf_blocks.h.
//
// Layout   views and string_views point into the map, aligned to general.alignment at most
// Errors   as io/gguf_parser.h, and those of opening; view: not_found, unsupported for block types
// Threads  const functions from any thread
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/gguf_parser.h"
#include "sys/mapped_file.h"
#include "tensor/tensor_view.h"

namespace quernel::io {

class GgufFile {
 public:
  static Result<GgufFile> open(const std::string& path);

  [[nodiscard]] const std::string& path() const { return file_.path(); }
  [[nodiscard]] std::uint64_t size_bytes() const { return file_.bytes().size(); }
  [[nodiscard]] const GgufHeader& header() const { return header_; }
  [[nodiscard]] const GgufMetadata& metadata() const { return header_.metadata; }
  [[nodiscard]] const std::vector<GgufTensor>& tensors() const { return header_.tensors; }  // in file order
  [[nodiscard]] const GgufTensor* find(const std::string& name) const;

  // `tensor` is one of this file's.
  [[nodiscard]] std::span<const std::byte> bytes(const GgufTensor& tensor) const;
  // Tensors of plain types (F32, F16, BF16, F64, I8 ... I64) in place.
  [[nodiscard]] Result<TensorView> view(const GgufTensor& tensor) const;
  [[nodiscard]] Result<TensorView> view(const std::string& name) const;

  // Drops resident pages of a tensor; they come back from disk when read again.
  void release(const GgufTensor& tensor) const;

 private:
  sys::MappedFile file_;
  GgufHeader header_;
  std::vector<std::uint32_t> by_name_;  // indices into tensors, names ascending
};

// The element type of a plain tensor type; nothing for block types.
std::optional<DType> gguf_plain_dtype(std::uint32_t type);

}  // namespace quernel::io
