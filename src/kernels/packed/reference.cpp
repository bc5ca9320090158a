// Plain C++ by the formulas of packed.h.
#include <algorithm>
#include <cmath>

#include "kernels/packed/entries.h"
#include "kernels/packed/weight_access.h"

namespace quernel::kernels::packed::reference {

namespace {

float product(const WeightView& w, std::int64_t row, const std::int8_t* x, float x_scale) {
  std::int32_t whole = 0;
  float real = 0.0F;
  for (std::int64_t g = 0; g < w.num_groups(); ++g) {
    std::int32_t dot = 0;
    std::int32_t sum = 0;
    for (std::int64_t k = g * w.group_size; k < std::min(w.cols, (g + 1) * w.group_size); ++k) {
      dot += code_of(w, row, k) * x[k];
      sum += x[k];
    }
    const GroupParams group = group_of(w, row, g);
    whole += group.scale * (dot - group.zero * sum);
    real = std::fma(static_cast<float>(dot - group.zero * sum), group.real_scale, real);
    if (w.groups == Groups::f16_min || w.groups == Groups::k_min)
      real = std::fma(static_cast<float>(sum), group.minimum, real);
  }
  return w.groups == Groups::two_level ? static_cast<float>(whole) * (w.row_scales[row] * x_scale) : real * x_scale;
}

}  // namespace

void few(const Args& args) noexcept {
  const std::int64_t end = std::min(args.weight.rows, args.end_panel * kPanelOutputs);
  for (std::int64_t m = 0; m < args.x.num_rows; ++m)
    for (std::int64_t n = args.first_panel * kPanelOutputs; n < end; ++n)
      args.out[m * args.out_stride + n] = product(args.weight, n, args.x.codes + m * args.x.stride, args.x.scales[m]);
}

}  // namespace quernel::kernels::packed::reference
