// Packed weights kept beside the model, so that the next load only copies them.
//
// Where     model.gguf: model.gguf.packed; a folder: model.packed inside. Nothing else is ever written there
// When      automatic: read where a file fits the model's files as they are now (name, size, time, sums of their edges); written after packing
//           took longer than kWorthSeconds, where the folder can be written to and its disk keeps as much free again
// Errors    those of packing alone: a cache that cannot be read is packed anew, one that cannot be written is a note
// Threads   one call at a time; two processes that write leave one whole file
#pragma once

#include <string>

#include "base/result.h"
#include "engine/model_weights.h"
#include "sys/thread_pool.h"

namespace quernel::engine {

enum class PackedCacheUse { off, automatic };

struct CachedWeights {
  ModelWeights weights;
  bool from_cache = false;
  std::string note;  // for the user: what was written where, or why not; empty: nothing to say
};

inline constexpr double kWorthSeconds = 0.5;

std::string packed_cache_path(const model::Checkpoint& checkpoint);
// worth_seconds: as above; tests pass 0.
Result<CachedWeights> load_weights(const model::Checkpoint& checkpoint, sys::ThreadPool& pool, PackedCacheUse use,
                                   double worth_seconds = kWorthSeconds);

}  // namespace quernel::engine
