// A whole file mapped read-only.
//
// Errors   not_found, io_error; unsupported if it is not a regular file; an empty file maps to an empty span
// Hazard   a file truncated by somebody else while it is mapped raises SIGBUS on access; readers check every size at
//          open
// Threads  const access from any thread
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace quernel::sys {

// Expected access order, passed to the kernel; it changes speed only.
enum class Access { sequential, random };

class MappedFile {
 public:
  MappedFile() = default;
  static Result<MappedFile> open(const std::string& path, Access access = Access::random);

  // Opens `name` beneath the folder: a plain file name, regular file. A symbolic link is followed only where its target
  // stays inside the folder's own tree or inside the Hugging Face cache entry that holds it (snapshots/ -> blobs/).
  static Result<MappedFile> open_contained(const std::string& folder, const std::string& name,
                                           Access access = Access::random);

  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }
  [[nodiscard]] std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }
  [[nodiscard]] const std::string& path() const { return path_; }

  // Tells the kernel that these bytes are not needed soon, so that resident memory falls. No effect on contents.
  void release(std::size_t offset_bytes, std::size_t length_bytes) const;

 private:
  static Result<MappedFile> map_descriptor(int descriptor, const std::string& path, Access access);

  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::string path_;
};

// True for a name that is one path component: not empty, not "." or "..", no '/', no NUL, at most 255 bytes.
bool is_plain_file_name(const std::string& name);

}  // namespace quernel::sys
