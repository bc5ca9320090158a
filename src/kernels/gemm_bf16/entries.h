// What each instruction-set file of gemm_bf16 exports.
#pragma once

#include "kernels/gemm_bf16/gemm_bf16.h"

namespace quernel::kernels::gemm_bf16 {
namespace amx {
Functions functions() noexcept;
}
namespace avx512_bf16 {
Functions functions() noexcept;
}
namespace reference {
Functions functions() noexcept;
}
}  // namespace quernel::kernels::gemm_bf16
