#include <array>

#include "quant/vector_ops.h"

namespace quernel::quant {

extern const VectorOps kPortableVectorOps;

std::span<const VectorOps* const> usable_vector_ops() {
  static const std::array<const VectorOps*, 1> kUsable = {&kPortableVectorOps};
  return kUsable;
}

const VectorOps& vector_ops() { return *usable_vector_ops().front(); }

}  // namespace quernel::quant
