// GGUF metadata -> config.json -> ModelConfig: one path for both kinds of files, so that what is exported says what
// ran.
//
// Reads    A.* keys of general.architecture A, tokenizer ids, which biases and head the file holds, rope_freqs.weight
// Rope     the divisors of rope_freqs stay in RopeConfig::frequency_factors as the file has them; config.json gets the
//          llama3 constants that give them again (model/rope_recover.h), else there is an obstacle
// Errors   unsupported (architecture, experts, values by layer, rope types), not_found, corrupt, limit_exceeded
// Threads  pure functions
#pragma once

#include <string>

#include "base/json.h"
#include "base/result.h"
#include "io/gguf.h"
#include "model/config.h"

namespace quernel::model {

struct GgufConfig {
  Json json;  // a config.json that Transformers would take
  ModelConfig config;
  std::string obstacle;  // why json does not say everything that config does; empty: it does
};

Result<GgufConfig> config_from_gguf(const io::GgufFile& file);

}  // namespace quernel::model
