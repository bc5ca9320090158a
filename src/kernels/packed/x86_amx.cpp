#include "simd/amx_tiles.h"
#include "simd/i8_avx512.h"

// The body needs the types and the operations above.
#include "kernels/packed/body_tiles.h"
#include "kernels/packed/entries.h"

namespace quernel::kernels::packed::amx {

void many(const Args& args) noexcept { run_tiled(args); }

}  // namespace quernel::kernels::packed::amx
