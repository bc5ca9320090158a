// Packs GGUF blocks for packed.h as they are: unpack_value gives what codec/gguf_blocks.h decodes, bit for bit.
//
// Takes    the types of codec/gguf_split.h: Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS
// Errors   unsupported: another type, rows that are not whole blocks, more than kMaxInputs inputs; corrupt: a scale that is not
//          finite, naming the row; out_of_memory
// Threads  panels are packed by the pool; row() is called from its threads
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "codec/gguf_types.h"
#include "kernels/packed/pack.h"

namespace quernel::kernels::packed {

struct BlockRows {
  codec::GgmlType type;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::function<std::span<const std::byte>(std::int64_t row)> row;  // whole blocks of cols elements
};

Result<PackedWeight> pack_blocks(const BlockRows& blocks, sys::ThreadPool& pool, sys::HugeArena* arena = nullptr);

}  // namespace quernel::kernels::packed
