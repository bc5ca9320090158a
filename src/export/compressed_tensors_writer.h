// Row of the "compressed-tensors" format: pack-quantized weights of vLLM and llm-compressor.
//
// Groups   contiguous and of full size: the library raises an error on a shorter last group and on scattered groups
// Scales   F32 for asymmetric modules and for float models, so that Transformers loads the very weights that were computed when it
//          loads in float32; else, and with ExportOptions::compact_scales, in the matrix's own dtype
// Layout   codec/int_pack_compressed_tensors.h
#pragma once

#include "export/format.h"

namespace quernel::exporting {

Format compressed_tensors_format();

}  // namespace quernel::exporting
