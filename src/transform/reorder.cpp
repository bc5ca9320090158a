// Activation-aware reordering: channels of alike size side by side, so that a group of weights meets inputs of one kind and the
// search of its scale does not have to serve two.
//
// Formula  order = channels of down's input by falling max |x| over all calibration tokens, ties by index; rows of gate and up and
//          columns of down are taken in that order, which changes nothing
// Not      the residual stream, whose order all layers share; the input of o, where a group is a head or less
// Source   Lin et al., QServe, arXiv 2405.04532, section 4.3.2
#include <algorithm>
#include <numeric>

#include "transform/rows.h"

namespace quernel::transform {

Status check_reorder(const model::ModelConfig&, const TransformSpec& spec) {
  const bool is_rotated = std::find(spec.chain.begin(), spec.chain.end(), "quarot") != spec.chain.end();
  if (!is_rotated || !spec.quarot_down) return {};
  return Error(Fault::unsupported, "a rotation of the input of down mixes the channels that reorder sorts")
      .in_field("--quarot-down")
      .expect("false after reorder", "true")
      .with_hint("--preprocess smoothquant+quarot goes with --quarot-down true");
}

Result<SiteScales> find_reorder(const SiteInput& input) {
  SiteScales found;
  if (input.site != model::Site::mlp_out) return found;
  const std::vector<float>& sizes = input.stats.max_abs;
  found.order.resize(sizes.size());
  std::iota(found.order.begin(), found.order.end(), 0);
  std::stable_sort(found.order.begin(), found.order.end(), [&](std::int32_t a, std::int32_t b) {
    return sizes[static_cast<std::size_t>(a)] > sizes[static_cast<std::size_t>(b)];
  });
  return found;
}

}  // namespace quernel::transform
