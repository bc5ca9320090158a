#include "io/gguf.h"

#include <algorithm>
#include <numeric>

namespace quernel::io {

Result<GgufFile> GgufFile::open(const std::string& path) {
  GgufFile file;
  QUERNEL_TRY(file.file_, sys::MappedFile::open(path));
  QUERNEL_TRY(file.header_, parse_gguf_header(file.file_.bytes(), path));
  file.by_name_.resize(file.tensors().size());
  std::iota(file.by_name_.begin(), file.by_name_.end(), 0U);
  std::sort(file.by_name_.begin(), file.by_name_.end(),
            [&tensors = file.tensors()](auto a, auto b) { return tensors[a].name < tensors[b].name; });
  return file;
}

const GgufTensor* GgufFile::find(const std::string& name) const {
  const auto found = std::lower_bound(
      by_name_.begin(), by_name_.end(), name,
      [this](std::uint32_t index, const std::string& wanted) { return tensors()[index].name < wanted; });
  if (found == by_name_.end() || tensors()[*found].name != name) return nullptr;
  return &tensors()[*found];
}

std::span<const std::byte> GgufFile::bytes(const GgufTensor& tensor) const {
  return file_.bytes().subspan(static_cast<std::size_t>(tensor.offset_bytes),
                               static_cast<std::size_t>(tensor.size_bytes));
}

Result<TensorView> GgufFile::view(const GgufTensor& tensor) const {
  const auto dtype = gguf_plain_dtype(tensor.type);
  if (!dtype) {
    return Error(Fault::unsupported, "tensor is stored in blocks and has to be decoded")
        .in_file(path())
        .in_tensor(tensor.name)
        .in_field("type")
        .expect("a plain type", tensor.type_name);
  }
  return TensorView{*dtype, tensor.shape, bytes(tensor)};
}

Result<TensorView> GgufFile::view(const std::string& name) const {
  const GgufTensor* tensor = find(name);
  if (tensor == nullptr) return Error(Fault::not_found, "no such tensor").in_file(path()).in_tensor(name);
  return view(*tensor);
}

void GgufFile::release(const GgufTensor& tensor) const {
  file_.release(static_cast<std::size_t>(tensor.offset_bytes), static_cast<std::size_t>(tensor.size_bytes));
}

std::optional<DType> gguf_plain_dtype(std::uint32_t type) {
  switch (type) {
    case 0: return DType::f32;
    case 1: return DType::f16;
    case 24: return DType::i8;
    case 25: return DType::i16;
    case 26: return DType::i32;
    case 27: return DType::i64;
    case 28: return DType::f64;
    case 30: return DType::bf16;
    default: return std::nullopt;
  }
}

}  // namespace quernel::io
