#include "simd/f32x16_avx512.h"

// The body needs the type above.
#include "kernels/int_rows/body.h"
#include "kernels/int_rows/entries.h"

namespace quernel::kernels::int_rows::avx512 {

Functions functions() noexcept { return kFunctions; }

}  // namespace quernel::kernels::int_rows::avx512
