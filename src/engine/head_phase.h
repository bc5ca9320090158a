// The head over hidden states: logits, or the best tokens of each row without keeping the logits.
//
// Formula  logits = soft_cap(scale * (W norm(hidden))), activations in two parts
// Threads  one call at a time; work inside is spread over the team
#pragma once

#include <cstdint>
#include <span>

#include "engine/pass_model.h"
#include "engine/pass_rows.h"
#include "engine/pass_team.h"
#include "runtime/top_tokens.h"
#include "sys/thread_pool.h"
#include "tensor/matrix.h"

namespace quernel::engine {

class HeadPhase {
 public:
  // product: which of the team's is the head's.
  HeadPhase(const PassModel& model, PassTeam& team, PassRows& rows, int num_workers, std::int64_t max_tokens,
            std::size_t product);

  // out [rows, vocabulary]
  void logits(sys::ThreadPool& pool, ConstMatrixView hidden, MatrixView out);
  // The `most` best tokens of each row, of equals the lower id.
  void top_tokens(sys::ThreadPool& pool, ConstMatrixView hidden, std::int64_t most, std::span<runtime::TopTokens> out);

 private:
  void enter(int worker, ConstMatrixView hidden);
  void finish(std::span<float> logits) const;
  void rank_panels(int worker, std::int64_t first, std::int64_t end, std::span<runtime::TopTokens> best);

  PassModel model_;
  PassTeam& team_;
  PassRows& rows_;
  std::size_t product_;
  Matrix own_logits_;  // [workers, tokens * 64]
};

}  // namespace quernel::engine
