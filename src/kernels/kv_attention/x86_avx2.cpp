#include "simd/f32x16_avx2.h"
#include "simd/i8_avx2.h"
// Needs a type above.
#include "simd/math_f32x16.h"

namespace quernel::kernels::kv_attention {
namespace {
constexpr int kMaxRows = 3;
constexpr int kMaxPanels = 1;
}  // namespace
}  // namespace quernel::kernels::kv_attention

// The body needs all of the above.
#include "kernels/kv_attention/body.h"
#include "kernels/kv_attention/body_encode.h"
#include "kernels/kv_attention/entries.h"

namespace quernel::kernels::kv_attention::avx2 {

void run(const Args& args) noexcept { run_all(args); }
void encode(const float* x, std::int64_t size, float most, Coded& out) noexcept { run_encode(x, size, most, out); }

}  // namespace quernel::kernels::kv_attention::avx2
