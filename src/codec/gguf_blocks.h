// GGUF tensor blocks to float, exactly as the format's reference implementation does it.
//
// Layout   blocks follow each other along the row; a row is a whole number of blocks, so any run of whole blocks can be
//          decoded on its own; little-endian, no alignment
// Formula  those of codec/gguf_split.h: a half scale times a small integer, sometimes minus or plus a half offset
// Exact    the same operations in the same order on float32: results are bit-identical to the reference
// Errors   unsupported for types without a decoder (codec/gguf_types.h); corrupt where the sizes do not fit
// Threads  pure functions
// Source   block layouts of ggml; golden values in tests/codec/gguf_blocks_test.cpp
#pragma once

#include <cstddef>
#include <span>

#include "base/result.h"
#include "codec/gguf_types.h"

namespace quernel::codec {

// out.size() elements from exactly as many blocks as they take.
Status dequantize_gguf(GgmlType type, std::span<const std::byte> blocks, std::span<float> out);

}  // namespace quernel::codec
