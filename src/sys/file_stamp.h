// What tells one state of a file from another without reading it whole: its size, when it was written, and a sum over its first and last
// 64 KB. A file that is changed in its middle, with its size and its time put back, passes for the same.
//
// Errors   not_found, io_error
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace quernel::sys {

struct FileStamp {
  std::uint64_t bytes = 0;
  std::int64_t modified_ns = 0;  // since 1970
  std::uint64_t edges = 0;       // checksum64 of the first and the last 64 KB
  bool operator==(const FileStamp&) const = default;
};

Result<FileStamp> stamp_file(const std::string& path);

}  // namespace quernel::sys
