// What stands beside the weights in a checkpoint: tokenizer, generation config, licence, model card.
//
// Exact    files of a source folder are copied byte for byte; README.md is ours
// Errors   those of reading and writing; unsupported: a GGUF vocabulary that tokenizer.json cannot say
// Threads  one thread a folder
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "export/format.h"
#include "model/checkpoint.h"

namespace quernel::exporting {

// Names of the files written, config.json and weights not among them.
Result<std::vector<std::string>> write_side_files(const model::Checkpoint& source, const std::string& folder);

struct CardFacts {
  std::string base_model;  // name shown as the origin
  std::string tool;        // "quernel 0.1.0"
  std::string format;
  model::QuantizationInfo info;
  std::uint64_t source_bytes = 0;   // of the tensors read
  std::uint64_t written_bytes = 0;  // of the tensors written
  std::size_t num_quantized = 0;    // modules
  std::vector<std::string> notes;
};

std::string model_card(const CardFacts& facts);

// "SmolLM2-135M" of ".../SmolLM2-135M/" or ".../SmolLM2-135M.gguf".
std::string base_model_name(const std::string& source_path);

}  // namespace quernel::exporting
