// What each instruction-set file of rounding exports.
#pragma once

#include "kernels/rounding/rounding.h"

namespace quernel::kernels::rounding {
namespace avx512 {
Functions functions() noexcept;
}
namespace avx2 {
Functions functions() noexcept;
}
namespace reference {
Functions functions() noexcept;
}
}  // namespace quernel::kernels::rounding
