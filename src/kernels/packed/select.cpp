#include "kernels/packed/table.h"

namespace quernel::kernels::packed {

const Variant& pick() {
  static const Variant& chosen = sys::first_usable(variants());
  return chosen;
}

std::int64_t scratch_bytes(const WeightView& weight) {
  constexpr std::int64_t kPanelsAtOnce = 4;  // of body_many.h
  return pick().many == nullptr ? 0 : kPanelsAtOnce * weight.tiles() * tile_bytes(Codes::u8);
}

void run(const Args& args) {
  const Variant& variant = pick();
  const bool many = variant.many != nullptr && args.x.num_rows >= variant.many_from;
  (many ? variant.many : variant.few)(args);
}

}  // namespace quernel::kernels::packed
