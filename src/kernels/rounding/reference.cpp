// Runs everywhere (SSE on x86-64, NEON on ARM); tests hold it against the formulas written out.
namespace {
constexpr int kLanes = 4;
}  // namespace

// The body needs the width above.
#include "kernels/rounding/body.h"
#include "kernels/rounding/entries.h"

namespace quernel::kernels::rounding::reference {

Functions functions() noexcept { return kFunctions; }

}  // namespace quernel::kernels::rounding::reference
