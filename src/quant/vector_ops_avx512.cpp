// Sixteen floats. Compiled with AVX-512.
#include <cstdint>
#include <cstring>

#include "quant/vector_ops.h"

namespace {
constexpr int kLanes = 16;
}  // namespace

#define QUERNEL_VECTOR_OPS_TABLE kAvx512VectorOps
#define QUERNEL_VECTOR_OPS_NAME "avx512"
#include "quant/vector_ops_body.inc"
