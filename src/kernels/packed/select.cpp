#include "kernels/packed/self_check.h"
#include "kernels/packed/table.h"
#include "sys/sound_variant.h"

namespace quernel::kernels::packed {

namespace {

// Which weights few takes two panels at a time of (body_few.h).
bool has_pairs(const WeightView& w) {
  const bool is_kind = w.groups == Groups::two_level || w.groups == Groups::f16 || w.groups == Groups::f32;
  return w.codes == Codes::u4 && is_kind && w.group_size >= kTileInputs;
}

}  // namespace

const Variant& pick() {
  static const Variant& chosen = sys::first_sound(
      variants(), [](const Variant& variant) { return gives_reference_bits(variant, variants().back().few); });
  return chosen;
}

std::int64_t scratch_bytes(const WeightView& weight) {
  constexpr std::int64_t kPanelsAtOnce = 4;  // at most (body_many.h)
  return pick().many == nullptr ? 0 : kPanelsAtOnce * weight.tiles() * tile_bytes(Codes::u8);
}

void run(const Args& args) {
  const Variant& variant = pick();
  const std::int64_t from = has_pairs(args.weight) ? variant.many_from : variant.many_from_other;
  const bool many = variant.many != nullptr && args.x.num_rows >= from;
  (many ? variant.many : variant.few)(args);
}

}  // namespace quernel::kernels::packed
