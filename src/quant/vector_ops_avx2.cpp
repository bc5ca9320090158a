// Eight floats. Compiled with AVX2.
#include <cstdint>
#include <cstring>

#include "quant/vector_ops.h"

namespace {
constexpr int kLanes = 8;
}  // namespace

#define QUERNEL_VECTOR_OPS_TABLE kAvx2VectorOps
#define QUERNEL_VECTOR_OPS_NAME "avx2"
#include "quant/vector_ops_body.inc"
