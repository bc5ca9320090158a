// What each instruction-set file of hadamard exports.
#pragma once

#include "kernels/hadamard/hadamard.h"

namespace quernel::kernels::hadamard {
namespace avx512 {
void transform(const Plan& plan, float* row, float* scratch) noexcept;
}
namespace avx2 {
void transform(const Plan& plan, float* row, float* scratch) noexcept;
}
namespace neon {
void transform(const Plan& plan, float* row, float* scratch) noexcept;
}
namespace reference {
void transform(const Plan& plan, float* row, float* scratch) noexcept;
}
}  // namespace quernel::kernels::hadamard
