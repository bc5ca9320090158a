// The attention of one layer within a pass: heads are made, stored in the cache, attended.
//
// Shapes   qkv [tokens, q + 2 kv] is changed in place (norms, RoPE, transforms); mixed [tokens, q]
// Threads  make() and run() by every worker of the team, with barriers inside and at their ends
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/attention_plan.h"
#include "engine/pass_model.h"
#include "kernels/kv_attention/kv_attention.h"
#include "sys/barrier.h"
#include "tensor/matrix.h"

namespace quernel::engine {

class AttentionPhase {
 public:
  AttentionPhase(const PassModel& model, int num_workers, std::int64_t max_tokens, sys::Barrier& barrier);

  // Of a pass; the plan outlives it.
  // Of the workers given to the constructor, the first `count` take part in what follows.
  void set_workers(int count) { num_workers_ = count; }
  void begin(const AttentionPlan& plan, std::span<const Span> spans, MatrixView qkv, MatrixView mixed);
  // Heads of all tokens, stored in the cache; then what they gather.
  void make(int worker, std::int64_t layer);
  void run(int worker, std::int64_t layer);
  // After run(): the mixed values of one row. Rows whose runs were shared out are joined here, into `row`; else it is copied there unless
  // it is mixed's own.
  void finish_row(std::int64_t row, std::span<float> to) const;
  [[nodiscard]] std::span<float> own_row(int worker) { return own_rows_.row(worker); }

 private:
  using Query = kernels::kv_attention::Query;
  using Partial = kernels::kv_attention::Partial;

  struct Worker {  // memory of one
    std::vector<kernels::kv_attention::Page> pages;
    std::vector<kernels::kv_attention::Page> next_pages;  // of the run after this one
    std::vector<Query> queries;
    std::vector<Partial> partials;
    Matrix mixed;
  };

  void make_heads(std::int64_t row, std::int64_t kv_head, std::int64_t layer);
  void finish_head(std::span<float> head, std::span<const float> gain, std::int64_t rope_position,
                   std::int64_t layer) const;
  void split_queries(std::int64_t row, std::int64_t kv_head);
  void close_pages(int worker, std::int64_t layer);
  void attend(Worker& worker, const AttentionUnit& unit, const AttentionUnit* next, std::int64_t layer);
  void list_pages(std::vector<kernels::kv_attention::Page>& pages, const AttentionUnit& unit, std::int64_t layer,
                  std::int64_t run) const;
  void norm_full_rows(int worker, const Layer& layer);

  PassModel model_;
  int num_workers_;  // that take part
  sys::Barrier& barrier_;
  std::int64_t group_;       // query heads of a key/value head
  std::int64_t padded_dim_;  // of mixed values
  std::int64_t code_dim_;    // of query codes
  std::vector<Worker> workers_;
  Matrix own_rows_;
  std::vector<std::int8_t> high_, low_;  // [tokens, heads, code_dim]
  std::vector<Query> queries_;           // [tokens, heads]
  std::vector<Partial> split_;           // of split blocks [block][run][heads]
  Matrix split_mixed_;
  std::vector<std::atomic<std::int64_t>> taken_;  // units of each layer

  const AttentionPlan* plan_ = nullptr;
  std::span<const Span> spans_;
  MatrixView qkv_, mixed_;
};

}  // namespace quernel::engine
