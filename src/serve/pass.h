// The next tokens of some sequences, computed together.
//
// Shapes   one row a token; logits of a sequence's last rows: of the last missing token and of each draft token
// Threads  one thread at a time; work inside is spread over the pool
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/int_model.h"
#include "serve/sequence.h"
#include "sys/thread_pool.h"
#include "tensor/matrix.h"

namespace quernel::serve {

using engine::kMaxPassTokens;

class Pass {
 public:
  struct Part {
    Sequence* sequence = nullptr;
    std::int64_t num_tokens = 0;  // missing ones, without the draft
    bool reads = false;           // of the prompt, or again
    std::span<const std::int32_t> draft{};
    std::int64_t num_logits = 0;
    std::int64_t first_logit = 0;
  };

  explicit Pass(engine::IntModel& model);

  void clear() { parts_.clear(); }
  // Pages for the tokens are reserved.
  void add(Sequence& sequence, std::int64_t num_tokens);
  void remove(const Sequence& sequence);
  [[nodiscard]] std::span<Part> parts() { return parts_; }
  [[nodiscard]] std::int64_t num_tokens() const;  // without drafts
  [[nodiscard]] std::int64_t num_decoding() const;

  // Computes all parts; caches grow. Errors: those of IntModel::forward.
  Status run();
  // The tokens of every part that has logits, side by side; Sequence::deliver() tells them.
  void choose_tokens(sys::ThreadPool& pool);

 private:
  Status compute_hidden();
  void compute_head();

  engine::IntModel& model_;
  std::vector<Part> parts_;
  std::vector<std::int32_t> tokens_;
  Matrix hidden_;                         // [kMaxPassTokens, hidden]
  Matrix head_in_, logits_;               // as many rows as were ever needed
  std::vector<runtime::TopTokens> best_;  // instead of logits, where few decide
  std::int64_t num_best_ = 0;             // of each row; 0: logits
};

}  // namespace quernel::serve
