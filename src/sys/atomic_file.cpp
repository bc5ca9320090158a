#include "sys/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "sys/descriptor.h"
#include "sys/errno_error.h"

namespace quernel::sys {

namespace {

constexpr std::size_t kWriteChunk = std::size_t{64} << 20;  // keeps a single write below Linux's 2 GiB limit

std::string parent_folder(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

}  // namespace

Result<AtomicFile> AtomicFile::create(const std::string& path, std::uint64_t expected_bytes) {
  AtomicFile file;
  file.path_ = path;
  file.temporary_path_ = path + ".tmp." + std::to_string(::getpid());
  file.descriptor_ = ::open(file.temporary_path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (file.descriptor_ < 0) return system_error("cannot create", file.temporary_path_, errno);
  // Reserve without changing the size; file systems that cannot do it simply meet a full disk later.
  if (expected_bytes > 0 &&
      ::fallocate(file.descriptor_, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(expected_bytes)) != 0 &&
      (errno == ENOSPC || errno == EFBIG || errno == EDQUOT))
    return system_error("no room for " + std::to_string(expected_bytes) + " bytes", path, errno);
  return file;
}

AtomicFile::~AtomicFile() { discard(); }

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      path_(std::move(other.path_)),
      temporary_path_(std::exchange(other.temporary_path_, {})),
      written_(other.written_) {}

AtomicFile& AtomicFile::operator=(AtomicFile&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(path_, other.path_);
  std::swap(temporary_path_, other.temporary_path_);
  std::swap(written_, other.written_);
  return *this;
}

void AtomicFile::discard() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
  if (!temporary_path_.empty()) ::unlink(temporary_path_.c_str());
  temporary_path_.clear();
}

Status AtomicFile::write(std::span<const std::byte> bytes) {
  QUERNEL_CHECK(descriptor_ >= 0, "write to a file that is committed or failed");
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_, bytes.data(), std::min(bytes.size(), kWriteChunk));
    if (count < 0) {
      if (errno == EINTR) continue;
      const int error_number = errno;
      discard();
      return system_error("cannot write", path_, error_number);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    written_ += static_cast<std::uint64_t>(count);
  }
  return {};
}

Status AtomicFile::write(std::string_view text) { return write(std::as_bytes(std::span(text))); }

Status AtomicFile::commit() {
  QUERNEL_CHECK(descriptor_ >= 0, "commit of a file that is committed or failed");
  // A failed fsync is final: the kernel may have dropped the dirty pages, a second call would lie.
  if (::fsync(descriptor_) != 0) {
    const int error_number = errno;
    discard();
    return system_error("cannot flush to disk", path_, error_number);
  }
  QUERNEL_TRY_STATUS(rename_into_place());
  return sync_folder(parent_folder(path_));
}

Status AtomicFile::commit_unsynced() {
  QUERNEL_CHECK(descriptor_ >= 0, "commit of a file that is committed or failed");
  return rename_into_place();
}

Status AtomicFile::rename_into_place() {
  auto fail = [this](const char* what) {
    const int error_number = errno;
    discard();
    return Status(system_error(what, path_, error_number));
  };
  if (::close(std::exchange(descriptor_, -1)) != 0) return fail("cannot close");
  if (::rename(temporary_path_.c_str(), path_.c_str()) != 0) return fail("cannot rename into place");
  temporary_path_.clear();
  return ok_status();
}

Status write_file(const std::string& path, std::string_view content) {
  QUERNEL_TRY(AtomicFile file, AtomicFile::create(path, content.size()));
  QUERNEL_TRY_STATUS(file.write(content));
  return file.commit();
}

Status make_folders(const std::string& path) {
  std::error_code failure;
  std::filesystem::create_directories(path, failure);
  if (failure) return system_error("cannot create folder", path, failure.value());
  if (!std::filesystem::is_directory(path)) return system_error("cannot create folder", path, ENOTDIR);
  return {};
}

Status sync_folder(const std::string& path) {
  const Descriptor folder(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY));
  if (!folder.valid()) return system_error("cannot open folder", path, errno);
  if (::fsync(folder.get()) != 0) return system_error("cannot flush folder to disk", path, errno);
  return {};
}

}  // namespace quernel::sys
