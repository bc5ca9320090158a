// Row of the "awq" format: AutoAWQ's layout in version gemm, which Transformers, vLLM and SGLang read.
//
// Zeros    always stored, and zero_point always true: no reader of the layout knows symmetric grids, which become zeros of 8
// Dense    modules_to_not_convert names them in full, and, where every layer has the same one dense, by its place in a layer
//          as well: Transformers and vLLM look for full names, AutoAWQ for pieces of names within a layer
// Layout   codec/int_pack_awq.h
#pragma once

#include "export/format.h"

namespace quernel::exporting {

Format awq_format();

}  // namespace quernel::exporting
