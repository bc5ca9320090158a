// Writing a file so that its final name holds the old content, the new content, or nothing; never a part.
//
// Protocol  temporary name in the same folder, write, fsync, close, rename, fsync of the folder
// Errors    out_of_disk (ENOSPC, EDQUOT, EFBIG), io_error; a failed write or fsync is final: the temporary file is
//           removed
// Threads   one thread at a time
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace quernel::sys {

class AtomicFile {
 public:
  // Creates `<path>.tmp.<pid>`. Reserves `expected_bytes` on disk up front (0: unknown), so a full disk is met at once.
  static Result<AtomicFile> create(const std::string& path, std::uint64_t expected_bytes = 0);
  ~AtomicFile();  // removes the temporary file unless committed
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&& other) noexcept;
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  Status write(std::span<const std::byte> bytes);
  Status write(std::string_view text);
  [[nodiscard]] std::uint64_t size_bytes() const { return written_; }
  Status commit();  // the file stands under its final name when this returns ok
  // The same without waiting for the disk: after a loss of power the final name may hold anything. For files with sums inside that can be
  // made again.
  Status commit_unsynced();

 private:
  AtomicFile() = default;
  void discard();
  Status rename_into_place();

  int descriptor_ = -1;
  std::string path_;
  std::string temporary_path_;
  std::uint64_t written_ = 0;
};

// Whole content in one call.
Status write_file(const std::string& path, std::string_view content);

// Creates a folder and its parents; ok if it exists already.
Status make_folders(const std::string& path);

// fsync of a folder, after names in it have changed.
Status sync_folder(const std::string& path);

}  // namespace quernel::sys
