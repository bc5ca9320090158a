// The AMX kernel of packed, compiled against emulated tiles: proves layout, tile numbers, borders and group sums on any CPU with
// AVX-512 VNNI. Only the instructions themselves stay unproved without AMX.

#include "kernels/amx_emulation.h"
#include "kernels/packed/sizes_avx512.h"
#include "simd/i8_avx512.h"
// The body needs the types, the operations and the constants above.
#include "kernels/packed/body_tiles.h"
#include "kernels/packed_emulated.h"

namespace quernel::kernels::packed {

void many_on_emulated_tiles(const Args& args) noexcept { run_tiled(args); }

void break_tiles(simd::TileFault fault) { simd::tile_fault() = fault; }

}  // namespace quernel::kernels::packed
