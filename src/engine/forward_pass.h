// One pass of the integer runtime over all layers: every worker of the team runs run(), phase by phase, with a barrier between phases.
//
// Phases of a block  rows: residual, norm, codes | products: q k v | heads: norms, RoPE, transforms, cache | pages that are full are rounded |
//                    attention | rows: codes | products: o | rows: residual, norm, codes | products: gate up | rows: gate, codes | products: down
// Rows, products     engine/pass_team.h says whose are which
// Attention          a unit is the query heads of one key/value head for some tokens of one page and one sequence. Positions are taken in
//                    runs of kRunPages pages whose results are joined in order, whoever computes them: a run of a lone token is a
//                    unit of its own, so that all cores share a long context
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/pass_model.h"
#include "engine/pass_profile.h"
#include "runtime/top_tokens.h"
#include "sys/thread_pool.h"
#include "tensor/matrix.h"

namespace quernel::engine {

class ForwardPass {
 public:
  // Errors: out_of_memory
  static Result<ForwardPass> make(const PassModel& model, int num_workers, std::int64_t max_tokens);
  ~ForwardPass();
  ForwardPass(ForwardPass&&) noexcept;

  void set_profile(PassProfile* profile);  // null: none
  // tokens are valid, caches reserved.
  void run(sys::ThreadPool& pool, std::span<const std::int32_t> tokens, std::span<const Span> spans, MatrixView hidden);
  // out = head(norm(hidden)) for at most max_tokens rows.
  void logits(sys::ThreadPool& pool, ConstMatrixView hidden, MatrixView out);
  // The best tokens of each row by those.
  void top_tokens(sys::ThreadPool& pool, ConstMatrixView hidden, std::int64_t most, std::span<runtime::TopTokens> out);

 private:
  struct State;
  explicit ForwardPass(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace quernel::engine
