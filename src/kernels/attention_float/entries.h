// What each instruction-set file of attention_float exports.
#pragma once

#include "kernels/attention_float/attention_float.h"

namespace quernel::kernels::attention_float {
namespace avx512 {
void run(const Args& args) noexcept;
}
namespace avx2 {
void run(const Args& args) noexcept;
}
namespace neon {
void run(const Args& args) noexcept;
}
namespace reference {
void run(const Args& args) noexcept;
}
}  // namespace quernel::kernels::attention_float
