#include "simd/f32x16_neon.h"

namespace quernel::kernels::attention_float {
namespace {
constexpr int kMaxTileRows = 6;
constexpr int kScoreGroups = 1;  // 6 sums of two registers, a key and a broadcast in 16
constexpr int kValueGroups = 1;
}  // namespace
}  // namespace quernel::kernels::attention_float

// The body needs the type and the constants above.
#include "kernels/attention_float/body.h"
#include "kernels/attention_float/entries.h"

namespace quernel::kernels::attention_float::neon {

void run(const Args& args) noexcept { run_all(args); }

}  // namespace quernel::kernels::attention_float::neon
