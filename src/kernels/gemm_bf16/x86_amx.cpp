#include "simd/amx_tiles.h"
// The block needs the tile operations above.
#include "kernels/gemm_bf16/amx_block.h"
#include "kernels/gemm_bf16/entries.h"
#include "kernels/gemm_bf16/pack_avx512.h"

namespace quernel::kernels::gemm_bf16::amx {

Functions functions() noexcept {
  return {kPackARows, kPackBRows, kPackBRowsBf16, kPackAColumns, kPackBColumns, amx_block};
}

}  // namespace quernel::kernels::gemm_bf16::amx
