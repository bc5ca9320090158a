#include "simd/f32x16_neon.h"

namespace quernel::kernels::gemv {
namespace {
constexpr int kTileRows = 4;
constexpr int kTileVectors = 1;  // 4 sums of two registers each, of 16
}  // namespace
}  // namespace quernel::kernels::gemv

// The body needs the type and the constants above.
#include "kernels/gemv/body.h"
#include "kernels/gemv/entries.h"

namespace quernel::kernels::gemv::neon {

void run_f32(const ArgsF32& args) noexcept { run_all(args); }
void run_bf16(const ArgsBf16& args) noexcept { run_all(args); }

}  // namespace quernel::kernels::gemv::neon
