// What each instruction-set file of int_rows exports.
#pragma once

#include "kernels/int_rows/int_rows.h"

namespace quernel::kernels::int_rows {
namespace avx512 {
Functions functions() noexcept;
}
namespace avx2 {
Functions functions() noexcept;
}
namespace neon {
Functions functions() noexcept;
}
namespace reference {
Functions functions() noexcept;
}
}  // namespace quernel::kernels::int_rows
