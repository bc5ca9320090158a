#include "io/gguf_types.h"

#include <algorithm>
#include <array>

namespace quernel::io {
namespace {

constexpr GgufTypeSize kTypes[] = {
    {0, "F32", 1, 4},         {1, "F16", 1, 2},         {2, "Q4_0", 32, 18},      {3, "Q4_1", 32, 20},
    {6, "Q5_0", 32, 22},      {7, "Q5_1", 32, 24},      {8, "Q8_0", 32, 34},      {9, "Q8_1", 32, 36},
    {10, "Q2_K", 256, 84},    {11, "Q3_K", 256, 110},   {12, "Q4_K", 256, 144},   {13, "Q5_K", 256, 176},
    {14, "Q6_K", 256, 210},   {15, "Q8_K", 256, 292},   {16, "IQ2_XXS", 256, 66}, {17, "IQ2_XS", 256, 74},
    {18, "IQ3_XXS", 256, 98}, {19, "IQ1_S", 256, 50},   {20, "IQ4_NL", 32, 18},   {21, "IQ3_S", 256, 110},
    {22, "IQ2_S", 256, 82},   {23, "IQ4_XS", 256, 136}, {24, "I8", 1, 1},         {25, "I16", 1, 2},
    {26, "I32", 1, 4},        {27, "I64", 1, 8},        {28, "F64", 1, 8},        {29, "IQ1_M", 256, 56},
    {30, "BF16", 1, 2},       {34, "TQ1_0", 256, 54},   {35, "TQ2_0", 256, 66},   {39, "MXFP4", 32, 17},
    {40, "NVFP4", 64, 36},    {41, "Q1_0", 128, 18},    {42, "Q2_0", 64, 18},
};

// Numbers that ggml gave up: repacked variants of Q4_0 and IQ4_NL, and two early formats. No reader may guess their
// layout.
constexpr std::array<std::uint32_t, 8> kRemovedTypes = {4, 5, 31, 32, 33, 36, 37, 38};

}  // namespace

std::string_view to_string(GgufKind kind) {
  switch (kind) {
    case GgufKind::u8: return "u8";
    case GgufKind::i8: return "i8";
    case GgufKind::u16: return "u16";
    case GgufKind::i16: return "i16";
    case GgufKind::u32: return "u32";
    case GgufKind::i32: return "i32";
    case GgufKind::f32: return "f32";
    case GgufKind::boolean: return "bool";
    case GgufKind::string: return "string";
    case GgufKind::array: return "array";
    case GgufKind::u64: return "u64";
    case GgufKind::i64: return "i64";
    case GgufKind::f64: return "f64";
  }
  return "unknown";
}

std::uint64_t scalar_bytes(GgufKind kind) {
  switch (kind) {
    case GgufKind::u8:
    case GgufKind::i8:
    case GgufKind::boolean: return 1;
    case GgufKind::u16:
    case GgufKind::i16: return 2;
    case GgufKind::u32:
    case GgufKind::i32:
    case GgufKind::f32: return 4;
    case GgufKind::u64:
    case GgufKind::i64:
    case GgufKind::f64: return 8;
    case GgufKind::string:
    case GgufKind::array: return 0;
  }
  return 0;
}

std::span<const GgufTypeSize> gguf_type_sizes() { return kTypes; }

const GgufTypeSize* find_gguf_type(std::uint32_t number) {
  const auto* found = std::find_if(std::begin(kTypes), std::end(kTypes),
                                   [number](const GgufTypeSize& size) { return size.number == number; });
  return found == std::end(kTypes) ? nullptr : found;
}

bool is_removed_gguf_type(std::uint32_t number) {
  return std::find(kRemovedTypes.begin(), kRemovedTypes.end(), number) != kRemovedTypes.end();
}

}  // namespace quernel::io
