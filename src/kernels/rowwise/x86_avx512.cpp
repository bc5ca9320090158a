#include "simd/f32x16_avx512.h"
// The body needs the type above.
#include "kernels/rowwise/body.h"
#include "kernels/rowwise/entries.h"

namespace quernel::kernels::rowwise::avx512 {

Functions functions() noexcept { return kFunctions; }

}  // namespace quernel::kernels::rowwise::avx512
