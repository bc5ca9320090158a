// What each instruction-set file of kv_attention exports.
#pragma once

#include "kernels/kv_attention/kv_attention.h"

namespace quernel::kernels::kv_attention {
namespace avx512_vnni {
void run(const Args& args) noexcept;
}
namespace avx_vnni {
void run(const Args& args) noexcept;
}
namespace avx2 {
void run(const Args& args) noexcept;
}
namespace reference {
void run(const Args& args) noexcept;
}
}  // namespace quernel::kernels::kv_attention
