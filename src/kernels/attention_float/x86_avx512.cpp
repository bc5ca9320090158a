#include "simd/f32x16_avx512.h"

namespace quernel::kernels::attention_float {
namespace {
constexpr int kMaxTileRows = 6;
constexpr int kScoreGroups = 4;  // 24 sums, 4 keys and a broadcast in 32 registers
constexpr int kValueGroups = 4;
}  // namespace
}  // namespace quernel::kernels::attention_float

// The body needs the type and the constants above.
#include "kernels/attention_float/body.h"
#include "kernels/attention_float/entries.h"

namespace quernel::kernels::attention_float::avx512 {

void run(const Args& args) noexcept { run_all(args); }

}  // namespace quernel::kernels::attention_float::avx512
