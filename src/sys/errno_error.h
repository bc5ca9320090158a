// System errors as Error values.
#pragma once

#include <string>

#include "base/result.h"

namespace quernel::sys {

// "cannot open: No such file or directory", with the fault that the number means (ENOENT: not_found; ENOSPC, EDQUOT,
// EFBIG: out_of_disk; ENOMEM: out_of_memory; others: io_error).
Error system_error(const std::string& what, const std::string& path, int error_number);

}  // namespace quernel::sys
