namespace {
constexpr int kLanes = 8;
}  // namespace

// The body needs the width above.
#include "kernels/rounding/body.h"
#include "kernels/rounding/entries.h"

namespace quernel::kernels::rounding::avx2 {

Functions functions() noexcept { return kFunctions; }

}  // namespace quernel::kernels::rounding::avx2
