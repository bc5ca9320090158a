// Row of the "gptq" format: the layout of GPTQModel, AutoGPTQ and Transformers.
//
// Zeros    symmetric matrices are labelled "gptq" (v1, fields of 2^(b-1) - 1), which every engine reads, also those
// that always
//          add 1; asymmetric ones "gptq_v2" (plain fields), because v1 cannot hold a zero of 0
// Layout   codec/int_pack_gptq.h
#pragma once

#include "export/format.h"

namespace quernel::exporting {

Format gptq_format();

}  // namespace quernel::exporting
