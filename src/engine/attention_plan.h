// Which attention is computed by whom in a pass: the same for every layer.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/pass_model.h"

namespace quernel::engine {

// Tokens first_row .. first_row + num_tokens of the pass, of one span and one page.
struct TokenBlock {
  std::int64_t span = 0;
  std::int64_t first_row = 0;
  std::int64_t num_tokens = 0;
  std::int64_t position = 0;       // of the first
  std::int64_t num_runs = 0;       // up to its own page; what a sliding window hides costs nothing in the kernels
  std::int64_t first_partial = 0;  // is_split: where its results lie, [runs][tokens * heads]
  bool is_split = false;
};

struct AttentionUnit {
  std::int64_t block = 0;
  std::int64_t kv_head = 0;
  std::int64_t first_run = 0;
  std::int64_t end_run = 0;
};

struct ClosingPage {
  std::int64_t span = 0;
  std::int64_t page = 0;
};

struct AttentionPlan {
  std::vector<std::int64_t> positions;       // of each row, in its cache
  std::vector<std::int64_t> rope_positions;  // of each row, in its text: pages dropped before it count
  std::vector<std::int64_t> span_of;         // of each row
  std::vector<TokenBlock> blocks;
  std::vector<std::int64_t> block_of;  // of each row
  std::vector<AttentionUnit> units;    // longest first
  std::vector<ClosingPage> closing;
  std::int64_t num_partials = 0;  // that split blocks need
};

AttentionPlan plan_attention(const model::ModelConfig& config, std::span<const Span> spans);

}  // namespace quernel::engine
