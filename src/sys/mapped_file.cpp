#include "sys/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "sys/descriptor.h"
#include "sys/errno_error.h"

namespace quernel::sys {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMaxNameBytes = 255;  // NAME_MAX

Error refused(const std::string& folder, const std::string& name, const std::string& why) {
  Error error(Fault::corrupt, "file name in the model's data is refused: " + why);
  return std::move(error).in_file(folder).expect("a plain file inside the folder", "'" + name + "'");
}

// The folder that a link inside `folder` may point into: the folder itself, or, for .../models--x/snapshots/<revision>,
// the whole cache entry models--x, whose blobs/ holds the content.
fs::path link_root(const fs::path& folder) {
  const fs::path snapshots = folder.parent_path();
  if (snapshots.filename() == "snapshots" && fs::exists(snapshots.parent_path() / "blobs"))
    return snapshots.parent_path();
  return folder;
}

bool is_inside(const fs::path& path, const fs::path& root) {
  auto [root_end, path_end] = std::mismatch(root.begin(), root.end(), path.begin(), path.end());
  static_cast<void>(path_end);
  return root_end == root.end();
}

}  // namespace

bool is_plain_file_name(const std::string& name) {
  return !name.empty() && name.size() <= kMaxNameBytes && name != "." && name != ".." &&
         name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
}

Result<MappedFile> MappedFile::open(const std::string& path, Access access) {
  // O_NONBLOCK: opening a pipe must not wait; it is refused below.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) return system_error("cannot open", path, errno);
  return map_descriptor(file.get(), path, access);
}

Result<MappedFile> MappedFile::open_contained(const std::string& folder, const std::string& name, Access access) {
  if (!is_plain_file_name(name)) return refused(folder, name, "not a plain name");
  const Descriptor directory(::open(folder.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY));
  if (!directory.valid()) return system_error("cannot open folder", folder, errno);
  const std::string path = folder + "/" + name;

  Descriptor file(::openat(directory.get(), name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
  if (!file.valid() && errno == ELOOP) {
    std::error_code failure;
    const fs::path root = fs::canonical(folder, failure);
    const fs::path target = failure ? fs::path() : fs::canonical(path, failure);
    if (failure || !is_inside(target, link_root(root))) return refused(folder, name, "a link that leaves the folder");
    // The checked target itself is opened, without following a link that may have been swapped in meanwhile.
    file = Descriptor(::open(target.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
  }
  if (!file.valid()) return system_error("cannot open", path, errno);
  return map_descriptor(file.get(), path, access);
}

Result<MappedFile> MappedFile::map_descriptor(int descriptor, const std::string& path, Access access) {
  struct stat info{};
  if (::fstat(descriptor, &info) != 0) return system_error("cannot stat", path, errno);
  if (!S_ISREG(info.st_mode)) {
    Error error(Fault::unsupported, "not a regular file");
    error.file = path;
    return error;
  }
  MappedFile mapped;
  mapped.path_ = path;
  mapped.size_ = static_cast<std::size_t>(info.st_size);
  if (mapped.size_ == 0) return mapped;
  void* address = ::mmap(nullptr, mapped.size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (address == MAP_FAILED) {
    mapped.size_ = 0;
    return system_error("cannot map", path, errno);
  }
  ::madvise(address, mapped.size_, access == Access::sequential ? MADV_SEQUENTIAL : MADV_NORMAL);
  mapped.data_ = static_cast<const std::byte*>(address);
  return mapped;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)), path_(std::move(other.path_)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(path_, other.path_);
  return *this;
}

void MappedFile::release(std::size_t offset_bytes, std::size_t length_bytes) const {
  if (data_ == nullptr || offset_bytes >= size_) return;
  const std::size_t end = offset_bytes + std::min(length_bytes, size_ - offset_bytes);
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t first_page = (offset_bytes + page - 1) / page * page;  // only pages that lie wholly inside
  const std::size_t last_page = end / page * page;
  if (first_page >= last_page) return;
  ::madvise(const_cast<std::byte*>(data_) + first_page, last_page - first_page, MADV_DONTNEED);
}

}  // namespace quernel::sys
