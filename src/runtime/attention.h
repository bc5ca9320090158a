// Causal attention of one layer over the sequences of a batch.
//
// Shapes   queries [tokens, heads * head_dim], keys and values [tokens, kv_heads * head_dim] (after norm and RoPE); out as
//          queries; query head h reads key/value head h / (heads / kv_heads)
// Formula  softmax(cap(scale q k^T) + mask) v; cap(s) = softcap tanh(s / softcap) where the model has one; the mask lets a
//          query see itself and what precedes it, within the layer's sliding window
// Low bits where the cache has pages that are rounded when full (runtime/simulated.h), tokens are attended page by page, and
//          rows of full pages change in place: in the cache, else in `keys` and `values`
// Threads  the pool of the context
#pragma once

#include <cstdint>

#include "runtime/block.h"
#include "tensor/matrix.h"

namespace quernel::runtime {

// Sequences with a cache have their keys and values written there first and are attended from there.
void attend(const BlockContext& context, std::int64_t layer, const SequenceBatch& batch, ConstMatrixView queries,
            MatrixView keys, MatrixView values, MatrixView out);

}  // namespace quernel::runtime
