#include "runtime/precision.h"

namespace quernel::runtime {

Precision effective(Precision wanted) { return wanted; }

const char* to_string(Precision precision) { return precision == Precision::bf16 ? "bf16" : "f32"; }

}  // namespace quernel::runtime
