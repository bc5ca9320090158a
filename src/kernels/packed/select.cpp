#include "kernels/packed/table.h"

namespace quernel::kernels::packed {

namespace {

constexpr std::int64_t kLargeWeight = std::int64_t{1} << 20;  // bytes

}  // namespace

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
  // Weights that come from memory are read faster by unpacking than between products: there it pays from fewer rows on.
  const WeightView& w = args.weight;
  const bool large = w.panels() * w.tiles() * tile_bytes(w.codes) > kLargeWeight;
  const bool many = variant.many != nullptr && args.x.num_rows >= (large ? variant.many_from_large : variant.many_from);
  (many ? variant.many : variant.few)(args);
}

}  // namespace quernel::kernels::packed
