#include "simd/i8_avx2.h"

namespace quernel::kernels::packed {
namespace {
constexpr int kMaxRows = 4;
constexpr int kMaxSums = 8;
}  // namespace
}  // namespace quernel::kernels::packed

// The body needs the types and the constants above.
#include "kernels/packed/body_few.h"
#include "kernels/packed/body_limits.h"
#include "kernels/packed/body_many_short.h"
#include "kernels/packed/entries.h"

namespace quernel::kernels::packed::avx2 {

void few(const Args& args) noexcept { run_few(args); }
void many(const Args& args) noexcept { run_many_short(args); }
std::int64_t spin(std::int64_t rounds) noexcept { return run_spin(rounds); }
std::int64_t sweep(const std::uint8_t* from, std::int64_t bytes) noexcept { return run_sweep(from, bytes); }

}  // namespace quernel::kernels::packed::avx2
