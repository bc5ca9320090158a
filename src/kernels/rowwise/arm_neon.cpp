#include "simd/f32x16_neon.h"
// The body needs the type above.
#include "kernels/rowwise/body.h"
#include "kernels/rowwise/entries.h"

namespace quernel::kernels::rowwise::neon {

Functions functions() noexcept { return kFunctions; }

}  // namespace quernel::kernels::rowwise::neon
