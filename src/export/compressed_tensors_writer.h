// Row of the "compressed-tensors" format: pack-quantized weights of vLLM and llm-compressor.
//
// Groups   contiguous and of full size: the library raises an error on a shorter last group and on scattered groups
// Scales   in the matrix's own dtype; codec/int_pack_compressed_tensors.h has the layout
#pragma once

#include "export/format.h"

namespace quernel::exporting {

Format compressed_tensors_format();

}  // namespace quernel::exporting
