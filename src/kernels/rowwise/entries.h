// What each instruction-set file of rowwise exports.
#pragma once

#include "kernels/rowwise/rowwise.h"

namespace quernel::kernels::rowwise {
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
}  // namespace quernel::kernels::rowwise
