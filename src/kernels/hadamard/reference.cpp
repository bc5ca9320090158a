#include "kernels/hadamard/entries.h"
#include "kernels/hadamard/scalar_steps.h"

namespace quernel::kernels::hadamard::reference {

void transform(const Plan& plan, float* row, float* scratch) noexcept { transform_scalar(plan, row, scratch); }

}  // namespace quernel::kernels::hadamard::reference
