// What each instruction-set file of kv_attention exports.
#pragma once

#include "kernels/kv_attention/kv_attention.h"

namespace quernel::kernels::kv_attention {
namespace avx512_vnni {
void run(const Args& args) noexcept;
void encode(const float* x, std::int64_t size, float most, Coded& out) noexcept;
}  // namespace avx512_vnni
namespace avx_vnni {
void run(const Args& args) noexcept;
void encode(const float* x, std::int64_t size, float most, Coded& out) noexcept;
}  // namespace avx_vnni
namespace avx2 {
void run(const Args& args) noexcept;
void encode(const float* x, std::int64_t size, float most, Coded& out) noexcept;
}  // namespace avx2
namespace neon_i8mm {
void run(const Args& args) noexcept;
void encode(const float* x, std::int64_t size, float most, Coded& out) noexcept;
}  // namespace neon_i8mm
namespace neon {
void run(const Args& args) noexcept;
void encode(const float* x, std::int64_t size, float most, Coded& out) noexcept;
}  // namespace neon
namespace reference {
void run(const Args& args) noexcept;
void encode(const float* x, std::int64_t size, float most, Coded& out) noexcept;
}  // namespace reference
}  // namespace quernel::kernels::kv_attention
