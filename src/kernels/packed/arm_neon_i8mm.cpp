#include "kernels/packed/sizes_neon.h"
#include "simd/i8_neon_i8mm.h"
// The bodies need the types, the operations and the constants above.
#include "kernels/packed/body_few.h"
#include "kernels/packed/body_limits.h"
#include "kernels/packed/body_many.h"
#include "kernels/packed/entries.h"

namespace quernel::kernels::packed::neon_i8mm {

void few(const Args& args) noexcept { run_few(args); }
void many(const Args& args) noexcept { run_many(args); }
std::int64_t spin(std::int64_t rounds) noexcept { return run_spin(rounds); }
std::int64_t sweep(const std::uint8_t* from, std::int64_t bytes) noexcept { return run_sweep(from, bytes); }

}  // namespace quernel::kernels::packed::neon_i8mm
