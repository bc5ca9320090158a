// Names of GGUF tensors in Hugging Face words, and what is done to their values so that they equal the
// Hugging Face form.
//
// Rows     GGUF files of some families hold the rows of q and k in pairs: row 2i + h of a head is row h * d/2 + i of the
//          Hugging Face tensor (h = 0, 1). The rotation then turns neighbours instead of halves. Biases likewise.
// Norms    GGUF files of Gemma hold 1 + w
// Threads  pure functions
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "model/config.h"

namespace quernel::model {

struct GgufRole {
  std::string hf_name;
  std::int64_t pair_dim = 0;  // above 0: rows are pairs within heads of this many rows
  bool minus_one = false;     // values hold 1 + w
};

// By GGUF name: every tensor that this model may have (the head also where it is tied).
std::unordered_map<std::string, GgufRole> gguf_roles(const ModelConfig& config);
// "model.layers.3.mlp.up_proj.weight" -> "blk.3.ffn_up.weight"; empty for a name that GGUF has no word for.
std::string gguf_name_of(const ModelConfig& config, const std::string& hf_name);

// The row of a GGUF tensor that holds row `row` of the Hugging Face tensor, for heads of `head_dim` rows.
constexpr std::int64_t gguf_pair_row(std::int64_t row, std::int64_t head_dim) {
  const std::int64_t within = row % head_dim;
  const std::int64_t half = within / (head_dim / 2);
  return row - within + 2 * (within % (head_dim / 2)) + half;
}

// Name of a Hugging Face tensor without what wrappers put before it: `prefix` is what stands before
// "embed_tokens.weight" in this checkpoint ("model.", "language_model.model.", "model.language_model.", "").
std::string plain_hf_name(const std::string& name, const std::string& prefix);

}  // namespace quernel::model
