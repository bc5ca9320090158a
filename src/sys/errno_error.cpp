#include "sys/errno_error.h"

#include <cerrno>
#include <system_error>

namespace quernel::sys {

namespace {

Fault fault_of(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ENOTDIR: return Fault::not_found;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return Fault::out_of_disk;
    case ENOMEM: return Fault::out_of_memory;
    default: return Fault::io_error;
  }
}

}  // namespace

Error system_error(const std::string& what, const std::string& path, int error_number) {
  Error error(fault_of(error_number), what + ": " + std::generic_category().message(error_number));
  error.file = path;
  return error;
}

}  // namespace quernel::sys
