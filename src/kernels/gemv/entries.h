// What each instruction-set file of gemv exports.
#pragma once

#include "kernels/gemv/gemv.h"

namespace quernel::kernels::gemv {
namespace avx512 {
void run_f32(const ArgsF32& args) noexcept;
void run_bf16(const ArgsBf16& args) noexcept;
}  // namespace avx512
namespace avx2 {
void run_f32(const ArgsF32& args) noexcept;
void run_bf16(const ArgsBf16& args) noexcept;
}  // namespace avx2
namespace neon {
void run_f32(const ArgsF32& args) noexcept;
void run_bf16(const ArgsBf16& args) noexcept;
}  // namespace neon
namespace reference {
void run_f32(const ArgsF32& args) noexcept;
void run_bf16(const ArgsBf16& args) noexcept;
}  // namespace reference
}  // namespace quernel::kernels::gemv
