#include "engine/attention_plan.h"

#include <algorithm>

namespace quernel::engine {
namespace {

constexpr std::int64_t kRunTokens = kRunPages * kPageTokens;

void add_units(const model::ModelConfig& config, AttentionPlan& plan) {
  for (std::size_t b = 0; b < plan.blocks.size(); ++b) {
    TokenBlock& block = plan.blocks[b];
    // A lone token's runs can be shared out; more tokens give units enough.
    block.is_split = block.num_tokens == 1 && block.num_runs > 1;
    if (block.is_split) {
      block.first_partial = plan.num_partials;
      plan.num_partials += block.num_runs * config.num_heads;
    }
    const std::int64_t step = block.is_split ? 1 : block.num_runs;
    for (std::int64_t head = 0; head < config.num_kv_heads; ++head)
      for (std::int64_t run = 0; run < block.num_runs; run += step)
        plan.units.push_back({static_cast<std::int64_t>(b), head, run, run + step});
  }
  const auto cost = [&](const AttentionUnit& unit) {
    return plan.blocks[static_cast<std::size_t>(unit.block)].num_tokens * (unit.end_run - unit.first_run);
  };
  std::stable_sort(plan.units.begin(), plan.units.end(),
                   [&](const auto& a, const auto& b) { return cost(a) > cost(b); });
}

}  // namespace

AttentionPlan plan_attention(const model::ModelConfig& config, std::span<const Span> spans) {
  AttentionPlan plan;
  std::int64_t row = 0;
  for (std::size_t s = 0; s < spans.size(); ++s) {
    const auto span = static_cast<std::int64_t>(s);
    const std::int64_t start = spans[s].cache->length();
    const std::int64_t end = start + spans[s].num_tokens;
    for (std::int64_t position = start; position < end;) {
      const std::int64_t page = position / kPageTokens;
      const std::int64_t count = std::min(end, (page + 1) * kPageTokens) - position;
      for (std::int64_t t = 0; t < count; ++t) {
        plan.positions.push_back(position + t);
        plan.rope_positions.push_back(position + t + spans[s].cache->dropped());
        plan.span_of.push_back(span);
        plan.block_of.push_back(static_cast<std::int64_t>(plan.blocks.size()));
      }
      plan.blocks.push_back({span, row, count, position, (position + count - 1) / kRunTokens + 1, 0, false});
      if (spans[s].cache->closes(page)) plan.closing.push_back({span, page});
      row += count;
      position += count;
    }
  }
  add_units(config, plan);
  return plan;
}

}  // namespace quernel::engine
