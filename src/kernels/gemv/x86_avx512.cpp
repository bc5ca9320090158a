#include "simd/f32x16_avx512.h"

namespace quernel::kernels::gemv {
namespace {
constexpr int kTileRows = 4;
constexpr int kTileVectors = 4;  // 16 sums, 4 vectors and a weight in 32 registers
}  // namespace
}  // namespace quernel::kernels::gemv

// The body needs the type and the constants above.
#include "kernels/gemv/body.h"
#include "kernels/gemv/entries.h"

namespace quernel::kernels::gemv::avx512 {

void run_f32(const ArgsF32& args) noexcept { run_all(args); }
void run_bf16(const ArgsBf16& args) noexcept { run_all(args); }

}  // namespace quernel::kernels::gemv::avx512
