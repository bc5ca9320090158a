#include <vector>

#include "quant/vector_ops.h"
#include "sys/cpu.h"

namespace quernel::quant {

extern const VectorOps kAvx512VectorOps;
extern const VectorOps kAvx2VectorOps;
extern const VectorOps kPortableVectorOps;

std::span<const VectorOps* const> usable_vector_ops() {
  static const std::vector<const VectorOps*> kUsable = [] {
    std::vector<const VectorOps*> usable;
    if (sys::can_use(sys::Isa::avx512)) usable.push_back(&kAvx512VectorOps);
    if (sys::can_use(sys::Isa::avx2)) usable.push_back(&kAvx2VectorOps);
    usable.push_back(&kPortableVectorOps);
    return usable;
  }();
  return kUsable;
}

const VectorOps& vector_ops() { return *usable_vector_ops().front(); }

}  // namespace quernel::quant
