// Four floats: SSE on x86-64, NEON on ARM.
#include <cstdint>
#include <cstring>

#include "quant/vector_ops.h"

namespace {
constexpr int kLanes = 4;
}  // namespace

#define QUERNEL_VECTOR_OPS_TABLE kPortableVectorOps
#define QUERNEL_VECTOR_OPS_NAME "portable"
#include "quant/vector_ops_body.inc"
