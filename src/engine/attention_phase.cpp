#include "engine/attention_phase.h"

#include <algorithm>
#include <array>

#include "base/checked.h"
#include "kernels/int_rows/table.h"
#include "kernels/kv_attention/table.h"
#include "kernels/packed/packed.h"
#include "kernels/rowwise/table.h"

namespace quernel::engine {

namespace kv = kernels::kv_attention;

namespace {

constexpr std::int64_t kCodeStep = kernels::packed::kTileInputs;  // int_rows fills whole tiles

}  // namespace

AttentionPhase::AttentionPhase(const PassModel& model, int num_workers, std::int64_t max_tokens, sys::Barrier& barrier)
    : model_(model),
      num_workers_(num_workers),
      barrier_(barrier),
      group_(model.config->num_heads / model.config->num_kv_heads),
      padded_dim_(kv::padded_dim(model.config->head_dim)),
      code_dim_(ceil_div(model.config->head_dim, kCodeStep) * kCodeStep),
      workers_(static_cast<std::size_t>(num_workers)),
      own_rows_(num_workers, model.config->q_size()),
      taken_(static_cast<std::size_t>(model.config->num_layers)) {
  const auto rows = static_cast<std::size_t>(max_tokens * model.config->num_heads);
  high_.resize(rows * static_cast<std::size_t>(code_dim_));
  low_.resize(high_.size());
  queries_.resize(rows);
}

void AttentionPhase::begin(const AttentionPlan& plan, std::span<const Span> spans, MatrixView qkv, MatrixView mixed) {
  plan_ = &plan;
  spans_ = spans;
  qkv_ = qkv;
  mixed_ = mixed;
  for (auto& count : taken_) count.store(0, std::memory_order_relaxed);
  if (split_mixed_.rows() < plan.num_partials) split_mixed_ = Matrix(plan.num_partials, padded_dim_);
  split_.resize(static_cast<std::size_t>(plan.num_partials));
  for (std::int64_t i = 0; i < plan.num_partials; ++i)
    split_[static_cast<std::size_t>(i)].mixed = split_mixed_.row(i).data();
  std::int64_t most_runs = 0;
  for (const TokenBlock& block : plan.blocks) most_runs = std::max(most_runs, block.is_split ? 1 : block.num_runs);
  const std::int64_t partials = most_runs * kPageTokens * group_;
  for (Worker& worker : workers_) {
    if (worker.mixed.rows() < partials) worker.mixed = Matrix(partials, padded_dim_);
    worker.partials.resize(static_cast<std::size_t>(partials));
  }
}

// Norm, rotation and transform of one head.
void AttentionPhase::finish_head(std::span<float> head, std::span<const float> gain, std::int64_t rope_position,
                                 std::int64_t layer) const {
  const model::ModelConfig& config = *model_.config;
  const model::LayerConfig& of_layer = config.layers[static_cast<std::size_t>(layer)];
  if (config.qk_norm_per_head)
    kernels::rowwise::functions().rms_norm(head.data(), gain.data(), static_cast<float>(config.rms_norm_eps),
                                           head.data(), config.head_dim);
  if (of_layer.rotates) runtime::rotate_head(model_.rope->at(rope_position, of_layer.local_rope), head);
  if (model_.head_transform != nullptr) {
    std::array<float, kv::kMaxHeadDim> scratch;
    model_.head_transform->apply(head.data(), scratch.data());
  }
}

// The key head, stored with its value, and the query heads that read it.
void AttentionPhase::make_heads(std::int64_t row, std::int64_t kv_head, std::int64_t layer) {
  const model::ModelConfig& config = *model_.config;
  const Layer& weights = model_.weights->layers[static_cast<std::size_t>(layer)];
  const auto dim = static_cast<std::size_t>(config.head_dim);
  const std::int64_t position = plan_->positions[static_cast<std::size_t>(row)];
  float* values = qkv_.row(row).data();
  float* key = values + config.q_size() + kv_head * config.head_dim;
  const std::int64_t rope_position = plan_->rope_positions[static_cast<std::size_t>(row)];
  finish_head({key, dim}, weights.k_norm, rope_position, layer);
  const PagedCache& cache = *spans_[static_cast<std::size_t>(plan_->span_of[static_cast<std::size_t>(row)])].cache;
  kv::write_token(cache.open_page(position / kPageTokens, layer, kv_head), cache.pool().open_bits(), config.head_dim,
                  position % kPageTokens, key, key + config.kv_size());
  for (std::int64_t head = kv_head * group_; head < (kv_head + 1) * group_; ++head)
    finish_head({values + head * config.head_dim, dim}, weights.q_norm, rope_position, layer);
  split_queries(row, kv_head);
}

void AttentionPhase::split_queries(std::int64_t row, std::int64_t kv_head) {
  const model::ModelConfig& config = *model_.config;
  std::array<std::int32_t, ceil_div(kv::kMaxHeadDim, kernels::packed::kSumInputs)> high_sums;
  std::array<std::int32_t, high_sums.size()> low_sums;
  const auto sums = static_cast<std::size_t>(code_dim_ / kernels::packed::kSumInputs);
  for (std::int64_t head = kv_head * group_; head < (kv_head + 1) * group_; ++head) {
    const std::int64_t at = row * config.num_heads + head;
    Query& query = queries_[static_cast<std::size_t>(at)];
    std::int8_t* high = high_.data() + at * code_dim_;
    std::int8_t* low = low_.data() + at * code_dim_;
    float high_scale = 0.0F;
    query = {qkv_.row(row).data() + head * config.head_dim,  high, low, 0.0F, 0, 0,
             plan_->positions[static_cast<std::size_t>(row)]};
    kernels::int_rows::functions().split(query.values, config.head_dim, code_dim_,
                                         {high, high_sums.data(), &high_scale}, {low, low_sums.data(), &query.scale});
    for (std::size_t i = 0; i < sums; ++i) {
      query.high_sum += high_sums[i];
      query.low_sum += low_sums[i];
    }
  }
}

void AttentionPhase::norm_full_rows(int worker, const Layer& layer) {
  const model::ModelConfig& config = *model_.config;
  const auto eps = static_cast<float>(config.rms_norm_eps);
  for (std::int64_t row = worker; row < qkv_.rows; row += num_workers_) {
    float* values = qkv_.row(row).data();
    kernels::rowwise::functions().rms_norm(values, layer.q_norm.data(), eps, values, config.q_size());
    values += config.q_size();
    kernels::rowwise::functions().rms_norm(values, layer.k_norm.data(), eps, values, config.kv_size());
  }
  barrier_.wait();
}

void AttentionPhase::close_pages(int worker, std::int64_t layer) {
  if (plan_->closing.empty()) return;
  const std::int64_t heads = model_.config->num_kv_heads;
  const auto count = static_cast<std::int64_t>(plan_->closing.size()) * heads;
  for (std::int64_t i = worker; i < count; i += num_workers_) {
    const ClosingPage& closing = plan_->closing[static_cast<std::size_t>(i / heads)];
    const PagedCache& cache = *spans_[static_cast<std::size_t>(closing.span)].cache;
    kv::close_page(cache.open_page(closing.page, layer, i % heads), model_.config->head_dim,
                   cache.closed_page(closing.page, layer, i % heads));
  }
  barrier_.wait();
}

// Pages of a run as the block's tokens see them: their own page open, those before it rounded where they are. For a page that was given up,
// behind every window of its layers, any other stands in: nothing of it counts.
void AttentionPhase::list_pages(std::vector<kv::Page>& pages, const AttentionUnit& unit, std::int64_t layer,
                                std::int64_t run) const {
  const TokenBlock& block = plan_->blocks[static_cast<std::size_t>(unit.block)];
  const PagedCache& cache = *spans_[static_cast<std::size_t>(block.span)].cache;
  const std::int64_t own = block.position / kPageTokens;
  pages.clear();
  for (std::int64_t page = run * kRunPages; page < (run + 1) * kRunPages && page <= own; ++page) {
    const kv::PageBytes closed = page < own ? cache.closed_page(page, layer, unit.kv_head) : kv::PageBytes{};
    const kv::PageBytes open = cache.open_page(page, layer, unit.kv_head);
    if (closed.keys != nullptr)
      pages.push_back({closed, 4});
    else
      pages.push_back(
          {open.keys != nullptr ? open : cache.open_page(own, layer, unit.kv_head), cache.pool().open_bits()});
  }
}

// next: what this worker attends after it, null where there is nothing.
void AttentionPhase::attend(Worker& worker, const AttentionUnit& unit, const AttentionUnit* next, std::int64_t layer) {
  const model::ModelConfig& config = *model_.config;
  const TokenBlock& block = plan_->blocks[static_cast<std::size_t>(unit.block)];
  const std::int64_t rows = block.num_tokens * group_;
  worker.queries.clear();
  for (std::int64_t t = 0; t < block.num_tokens; ++t)
    for (std::int64_t g = 0; g < group_; ++g)
      worker.queries.push_back(
          queries_[static_cast<std::size_t>((block.first_row + t) * config.num_heads + unit.kv_head * group_ + g)]);
  const std::int64_t runs = unit.end_run - unit.first_run;
  list_pages(worker.pages, unit, layer, unit.first_run);
  for (std::int64_t i = 0; i < runs; ++i) {
    const std::int64_t run = unit.first_run + i;
    worker.next_pages.clear();
    if (i + 1 < runs)
      list_pages(worker.next_pages, unit, layer, run + 1);
    else if (next != nullptr)
      list_pages(worker.next_pages, *next, layer, next->first_run);
    Partial* partials = worker.partials.data() + i * rows;
    if (block.is_split) {
      partials = split_.data() + block.first_partial + run * config.num_heads + unit.kv_head * group_;
    } else {
      for (std::int64_t r = 0; r < rows; ++r) partials[r].mixed = worker.mixed.row(i * rows + r).data();
    }
    kv::pick().run({worker.queries.data(), partials, rows, worker.pages.data(),
                    static_cast<std::int64_t>(worker.pages.size()), worker.next_pages.data(),
                    static_cast<std::int64_t>(worker.next_pages.size()), run * kRunPages * kPageTokens, config.head_dim,
                    static_cast<float>(config.attention_scale), static_cast<float>(config.attention_softcap),
                    config.layers[static_cast<std::size_t>(layer)].sliding_window.value_or(0)});
    std::swap(worker.pages, worker.next_pages);
  }
  if (block.is_split) return;
  std::vector<Partial> of_row(static_cast<std::size_t>(runs));
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t i = 0; i < runs; ++i)
      of_row[static_cast<std::size_t>(i)] = worker.partials[static_cast<std::size_t>(i * rows + r)];
    kv::join(of_row.data(), runs, config.head_dim,
             mixed_.row(block.first_row + r / group_).data() + (unit.kv_head * group_ + r % group_) * config.head_dim);
  }
}

void AttentionPhase::make(int worker, std::int64_t layer) {
  const model::ModelConfig& config = *model_.config;
  if (config.qk_norm_full) norm_full_rows(worker, model_.weights->layers[static_cast<std::size_t>(layer)]);
  const std::int64_t heads = qkv_.rows * config.num_kv_heads;
  for (std::int64_t i = heads * worker / num_workers_; i < heads * (worker + 1) / num_workers_; ++i)
    make_heads(i / config.num_kv_heads, i % config.num_kv_heads, layer);
  barrier_.wait();
  close_pages(worker, layer);
}

void AttentionPhase::run(int worker, std::int64_t layer) {
  const auto take = [&]() -> const AttentionUnit* {
    const auto index =
        static_cast<std::size_t>(taken_[static_cast<std::size_t>(layer)].fetch_add(1, std::memory_order_relaxed));
    return index < plan_->units.size() ? &plan_->units[index] : nullptr;
  };
  const AttentionUnit* unit = take();
  while (unit != nullptr) {
    const AttentionUnit* next = take();
    attend(workers_[static_cast<std::size_t>(worker)], *unit, next, layer);
    unit = next;
  }
  barrier_.wait();
}

void AttentionPhase::finish_row(std::int64_t row, std::span<float> to) const {
  const model::ModelConfig& config = *model_.config;
  const TokenBlock& block = plan_->blocks[static_cast<std::size_t>(plan_->block_of[static_cast<std::size_t>(row)])];
  if (!block.is_split) {
    if (to.data() != mixed_.row(row).data()) std::copy(mixed_.row(row).begin(), mixed_.row(row).end(), to.begin());
    return;
  }
  std::vector<Partial> of_head(static_cast<std::size_t>(block.num_runs));
  for (std::int64_t head = 0; head < config.num_heads; ++head) {
    for (std::size_t i = 0; i < of_head.size(); ++i)
      of_head[i] = split_[static_cast<std::size_t>(block.first_partial +
                                                   static_cast<std::int64_t>(i) * config.num_heads + head)];
    kv::join(of_head.data(), static_cast<std::int64_t>(of_head.size()), config.head_dim,
             to.data() + head * config.head_dim);
  }
}

}  // namespace quernel::engine
