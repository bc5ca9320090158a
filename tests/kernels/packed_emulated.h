// The AMX kernel of packed on emulated tiles, from a file that is compiled for AVX-512 VNNI.
#pragma once

#include "kernels/packed/packed.h"
#include "kernels/tile_fault.h"

namespace quernel::kernels::packed {

void many_on_emulated_tiles(const Args& args) noexcept;
void break_tiles(simd::TileFault fault);  // from now on

}  // namespace quernel::kernels::packed
