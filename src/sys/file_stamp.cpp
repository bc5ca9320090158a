#include "sys/file_stamp.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "base/checksum.h"
#include "sys/descriptor.h"
#include "sys/errno_error.h"

namespace quernel::sys {
namespace {

constexpr std::uint64_t kEdgeBytes = 64 << 10;
constexpr std::int64_t kNanoseconds = 1'000'000'000;

}  // namespace

Result<FileStamp> stamp_file(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return system_error("cannot open", path, errno);
  struct stat status = {};
  if (::fstat(file.get(), &status) != 0) return system_error("cannot stat", path, errno);
  FileStamp stamp;
  stamp.bytes = static_cast<std::uint64_t>(status.st_size);
  stamp.modified_ns = std::int64_t{status.st_mtim.tv_sec} * kNanoseconds + status.st_mtim.tv_nsec;
  const std::uint64_t edge = std::min(stamp.bytes, kEdgeBytes);
  std::vector<std::byte> both(2 * edge);
  const std::array<std::uint64_t, 2> places = {0, stamp.bytes - edge};
  for (std::size_t i = 0; i < places.size(); ++i) {
    const ssize_t count = ::pread(file.get(), both.data() + i * edge, edge, static_cast<off_t>(places[i]));
    if (count < 0) return system_error("cannot read", path, errno);
  }
  stamp.edges = checksum64(both);
  return stamp;
}

}  // namespace quernel::sys
