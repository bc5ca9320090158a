// How a model is to run in the integer runtime.
#pragma once

#include <cstdint>

#include "engine/packed_cache.h"

namespace quernel::engine {

struct EngineOptions {
  int activation_bits = 0;  // 8; 16: in two parts; 0: 8 where weights were made for it (two levels), else 16
  int kv_bits = 8;          // 16, 8, 4
  std::uint64_t kv_budget = 4ULL << 30;  // bytes of all caches together
  int decode_threads = 0;                // at most, for passes of few tokens; 0: all of the pool
  PackedCacheUse packed_cache = PackedCacheUse::off;
};

}  // namespace quernel::engine
