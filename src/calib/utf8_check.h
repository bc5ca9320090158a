// Is this text UTF-8?
//
// Exact    the well-formed sequences of the Unicode standard (table 3-7): no surrogates, no overlong forms, nothing
//          above U+10FFFF
// Threads  pure function
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace quernel::calib {

// Byte offset of the first sequence that is not well formed; nothing where all of them are.
std::optional<std::size_t> first_invalid_utf8(std::string_view text);

}  // namespace quernel::calib
