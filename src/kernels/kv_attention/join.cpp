#include <cmath>
#include <limits>

#include "kernels/kv_attention/kv_attention.h"

namespace quernel::kernels::kv_attention {

void join(const Partial* partials, std::int64_t num_partials, std::int64_t head_dim, float* out) {
  float max = -std::numeric_limits<float>::infinity();
  for (std::int64_t i = 0; i < num_partials; ++i) max = partials[i].max > max ? partials[i].max : max;
  float sum = 0.0F;
  for (std::int64_t d = 0; d < head_dim; ++d) out[d] = 0.0F;
  for (std::int64_t i = 0; i < num_partials; ++i) {
    const Partial& part = partials[i];
    if (part.max == -std::numeric_limits<float>::infinity()) continue;
    const float weight = part.max == max ? 1.0F : std::exp(part.max - max);
    sum += weight * part.sum;
    for (std::int64_t d = 0; d < head_dim; ++d) out[d] += weight * part.mixed[d];
  }
  if (sum == 0.0F) return;
  for (std::int64_t d = 0; d < head_dim; ++d) out[d] /= sum;
}

}  // namespace quernel::kernels::kv_attention
