#include "tensor/dtype.h"

#include <array>
#include <utility>

namespace quernel {

namespace {
constexpr std::array<std::pair<DType, std::string_view>, 15> kNames{{
    {DType::f32, "F32"},
    {DType::f16, "F16"},
    {DType::bf16, "BF16"},
    {DType::f64, "F64"},
    {DType::i8, "I8"},
    {DType::u8, "U8"},
    {DType::i16, "I16"},
    {DType::u16, "U16"},
    {DType::i32, "I32"},
    {DType::u32, "U32"},
    {DType::i64, "I64"},
    {DType::u64, "U64"},
    {DType::boolean, "BOOL"},
    {DType::f8_e4m3, "F8_E4M3"},
    {DType::f8_e5m2, "F8_E5M2"},
}};
}  // namespace

std::string_view to_string(DType dtype) {
  for (const auto& [value, name] : kNames)
    if (value == dtype) return name;
  return "?";
}

std::optional<DType> dtype_from_name(std::string_view name) {
  for (const auto& [value, known] : kNames)
    if (known == name) return value;
  return std::nullopt;
}

}  // namespace quernel
