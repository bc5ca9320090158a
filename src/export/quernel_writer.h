// Our own checkpoint: matrices of two levels (QoQ), read by the integer runtime without conversion. docs/format.md.
//
// Tensors  P.codes U8 [N, ceil(K / 2)], P.groups U8 [N, G], P.scales F16 or BF16 [N]: codec/two_level.h;
//          P.outlier_index I32 [n, 2] and P.outlier_values F32 [n] of a module with n outliers: version 2, else 1
#pragma once

#include "export/format.h"

namespace quernel::exporting {

Format quernel_format();

}  // namespace quernel::exporting
