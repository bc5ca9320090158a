// Names and sizes that writing and reading a packed file (engine/packed_file.h) share.
#pragma once

#include <array>
#include <cstddef>
#include <utility>

#include "kernels/packed/packed.h"

namespace quernel::engine::packed_form {

namespace packed = kernels::packed;
using packed::Codes;
using packed::Groups;

inline constexpr std::size_t kChunk = std::size_t{4} << 20;  // bytes under one checksum
inline constexpr const char* kMetadataKey = "packed";
inline constexpr std::array<std::pair<const char*, Codes>, 7> kCodes = {{{"u2", Codes::u2},
                                                                         {"u3", Codes::u3},
                                                                         {"u4", Codes::u4},
                                                                         {"u5", Codes::u5},
                                                                         {"u6", Codes::u6},
                                                                         {"u8", Codes::u8},
                                                                         {"u4_table", Codes::u4_table}}};
inline constexpr std::array<std::pair<const char*, Groups>, 7> kGroups = {{{"two_level", Groups::two_level},
                                                                           {"f16", Groups::f16},
                                                                           {"f16_fixed", Groups::f16_fixed},
                                                                           {"f16_min", Groups::f16_min},
                                                                           {"f32", Groups::f32},
                                                                           {"k_scale", Groups::k_scale},
                                                                           {"k_min", Groups::k_min}}};

}  // namespace quernel::engine::packed_form
