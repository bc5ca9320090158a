#include "io/safetensors.h"

#include <algorithm>
#include <numeric>

namespace quernel::io {

Result<SafetensorsFile> SafetensorsFile::open(const std::string& path) {
  QUERNEL_TRY(sys::MappedFile map, sys::MappedFile::open(path));
  return from_map(std::move(map));
}

Result<SafetensorsFile> SafetensorsFile::open_contained(const std::string& folder, const std::string& name) {
  QUERNEL_TRY(sys::MappedFile map, sys::MappedFile::open_contained(folder, name));
  return from_map(std::move(map));
}

Result<SafetensorsFile> SafetensorsFile::from_map(sys::MappedFile map) {
  SafetensorsFile file;
  QUERNEL_TRY(file.header_, parse_safetensors_header(map.bytes(), map.path()));
  file.file_ = std::move(map);
  file.by_name_.resize(file.header_.entries.size());
  std::iota(file.by_name_.begin(), file.by_name_.end(), 0U);
  std::sort(file.by_name_.begin(), file.by_name_.end(),
            [&entries = file.header_.entries](auto a, auto b) { return entries[a].name < entries[b].name; });
  return file;
}

const SafetensorsEntry* SafetensorsFile::find(const std::string& name) const {
  const auto found = std::lower_bound(
      by_name_.begin(), by_name_.end(), name,
      [this](std::uint32_t index, const std::string& wanted) { return entries()[index].name < wanted; });
  if (found == by_name_.end() || entries()[*found].name != name) return nullptr;
  return &entries()[*found];
}

std::span<const std::byte> SafetensorsFile::bytes(const SafetensorsEntry& entry) const {
  return file_.bytes().subspan(static_cast<std::size_t>(entry.offset_bytes),
                               static_cast<std::size_t>(entry.size_bytes));
}

Result<TensorView> SafetensorsFile::view(const SafetensorsEntry& entry) const {
  if (!entry.dtype.has_value()) {
    return Error(Fault::unsupported, "dtype can be listed but not computed with")
        .in_file(path())
        .in_tensor(entry.name)
        .in_field("dtype")
        .expect("a float type of 16 bits or more, or an integer type", entry.dtype_name);
  }
  return TensorView{*entry.dtype, entry.shape, bytes(entry)};
}

Result<TensorView> SafetensorsFile::view(const std::string& name) const {
  const SafetensorsEntry* entry = find(name);
  if (entry == nullptr) return Error(Fault::not_found, "no such tensor").in_file(path()).in_tensor(name);
  return view(*entry);
}

void SafetensorsFile::release(const SafetensorsEntry& entry) const {
  file_.release(static_cast<std::size_t>(entry.offset_bytes), static_cast<std::size_t>(entry.size_bytes));
}

}  // namespace quernel::io
