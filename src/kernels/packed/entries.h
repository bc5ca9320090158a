// What each instruction-set file of packed exports. few: any number of rows, a few at a time, codes taken from the nibbles;
// many: unpacks panels into scratch and reuses them for all rows.
#pragma once

#include "kernels/packed/packed.h"

namespace quernel::kernels::packed {
namespace amx {
void many(const Args& args) noexcept;
}
namespace avx512_vnni {
void few(const Args& args) noexcept;
std::int64_t spin(std::int64_t rounds) noexcept;
std::int64_t sweep(const std::uint8_t* from, std::int64_t bytes) noexcept;
void many(const Args& args) noexcept;
}  // namespace avx512_vnni
namespace avx_vnni {
void few(const Args& args) noexcept;
void many(const Args& args) noexcept;
std::int64_t spin(std::int64_t rounds) noexcept;
std::int64_t sweep(const std::uint8_t* from, std::int64_t bytes) noexcept;
}  // namespace avx_vnni
namespace avx2 {
void few(const Args& args) noexcept;
void many(const Args& args) noexcept;
std::int64_t spin(std::int64_t rounds) noexcept;
std::int64_t sweep(const std::uint8_t* from, std::int64_t bytes) noexcept;
}  // namespace avx2
namespace neon_i8mm {
void few(const Args& args) noexcept;
void many(const Args& args) noexcept;
std::int64_t spin(std::int64_t rounds) noexcept;
std::int64_t sweep(const std::uint8_t* from, std::int64_t bytes) noexcept;
}  // namespace neon_i8mm
namespace neon {
void few(const Args& args) noexcept;
void many(const Args& args) noexcept;
std::int64_t spin(std::int64_t rounds) noexcept;
std::int64_t sweep(const std::uint8_t* from, std::int64_t bytes) noexcept;
}  // namespace neon
namespace reference {
void few(const Args& args) noexcept;
}
}  // namespace quernel::kernels::packed
