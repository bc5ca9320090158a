#include "simd/f32x16_avx2.h"
// The body needs the type above.
#include "kernels/rowwise/body.h"
#include "kernels/rowwise/entries.h"

namespace quernel::kernels::rowwise::avx2 {

Functions functions() noexcept { return kFunctions; }

}  // namespace quernel::kernels::rowwise::avx2
