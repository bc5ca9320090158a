#include "kernels/packed/sizes_avx512.h"
#include "simd/amx_tiles.h"
#include "simd/i8_avx512.h"
// The body needs the types, the operations and the constants above.
#include "kernels/packed/body_tiles.h"
#include "kernels/packed/entries.h"

namespace quernel::kernels::packed::amx {

void many(const Args& args) noexcept { run_tiled(args); }

}  // namespace quernel::kernels::packed::amx
