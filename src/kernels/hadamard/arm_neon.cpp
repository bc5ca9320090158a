#include "simd/f32x16_neon.h"

// The body needs the type above.
#include "kernels/hadamard/body.h"
#include "kernels/hadamard/entries.h"

namespace quernel::kernels::hadamard::neon {

void transform(const Plan& plan, float* row, float* scratch) noexcept { transform_wide(plan, row, scratch); }

}  // namespace quernel::kernels::hadamard::neon
