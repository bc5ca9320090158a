#include "simd/f32x16_neon.h"

// The body needs the type above.
#include "kernels/int_rows/body.h"
#include "kernels/int_rows/entries.h"

namespace quernel::kernels::int_rows::neon {

Functions functions() noexcept { return kFunctions; }

}  // namespace quernel::kernels::int_rows::neon
