#include "kernels/gemv/table.h"

#include <array>

#include "kernels/gemv/entries.h"

namespace quernel::kernels::gemv {

std::span<const Variant> variants() {
  static constexpr std::array<Variant, 1> kTable{
      {{sys::Isa::scalar, "gemv/reference", reference::run_f32, reference::run_bf16}}};
  return kTable;
}

}  // namespace quernel::kernels::gemv
