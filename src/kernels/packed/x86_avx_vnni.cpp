#include "simd/i8_avx_vnni.h"

namespace quernel::kernels::packed {
namespace {
constexpr int kMaxRows = 4;
constexpr int kMaxSums = 8;
constexpr std::int64_t kPanelsAtOnce = 1;  // 32 KB at 2,048 inputs
constexpr int kOneSumColumns = 2;          // 6 rows: 12 sums, 2 registers of codes, one of activations
constexpr int kTwoSumColumns =
    2;  // the second sums wait in memory: half as many would wait for the dot product's latency
}  // namespace
}  // namespace quernel::kernels::packed

// The body needs the types and the constants above.
#include "kernels/packed/body_few.h"
#include "kernels/packed/body_limits.h"
#include "kernels/packed/body_many.h"
#include "kernels/packed/entries.h"

namespace quernel::kernels::packed::avx_vnni {

void few(const Args& args) noexcept { run_few(args); }
void many(const Args& args) noexcept { run_many(args); }
std::int64_t spin(std::int64_t rounds) noexcept { return run_spin(rounds); }
std::int64_t sweep(const std::uint8_t* from, std::int64_t bytes) noexcept { return run_sweep(from, bytes); }

}  // namespace quernel::kernels::packed::avx_vnni
