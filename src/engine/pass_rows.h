// The rows that a pass works on between its products: residual, norm, and the codes that a product reads.
//
// One set is shared by all workers; where there is one token each has its own (engine/pass_team.h).
// Threads  rows are written by one worker each
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/result.h"
#include "engine/pass_model.h"
#include "engine/pass_team.h"
#include "engine/row_codes.h"
#include "model/modules.h"
#include "tensor/matrix.h"

namespace quernel::engine {

inline constexpr std::size_t kMaxSiteModules = 3;

struct Rows {
  MatrixView hidden;
  MatrixView normed;
  RowCodes codes;
  std::vector<RowCodes> ordered;  // the same for modules of a site in act-order; empty where the model has none

  [[nodiscard]] const RowCodes& codes_for(const PackedLinear& linear, std::size_t place) const {
    return linear.order.empty() ? codes : ordered[place];
  }
};

// How the input of a site is coded, for all modules that read it.
struct SiteCodes {
  bool two_parts = false;
  std::int64_t sum_inputs = 0;
  std::array<const std::vector<std::int32_t>*, kMaxSiteModules> orders{};  // of its modules; null: their own
};
SiteCodes codes_of(const Layer& layer, model::Site site, const EngineOptions& options);

class PassRows {
 public:
  // Errors: out_of_memory
  static Result<PassRows> make(const PassModel& model, PassTeam& team, int num_workers, std::int64_t max_tokens);

  Rows& of(int worker) { return team_->is_redundant() ? own_[static_cast<std::size_t>(worker)] : shared_; }
  // The workers begin codes of `width` entries together.
  void start_codes(int worker, std::int64_t width, const SiteCodes& kind);
  // The input of a site for a token.
  void put_codes(int worker, const SiteCodes& kind, std::int64_t token, const float* x);

 private:
  PassTeam* team_ = nullptr;
  Matrix shared_hidden_, shared_normed_;
  Matrix own_hidden_, own_normed_;  // [workers, hidden]
  std::vector<Rows> own_;           // of each worker
  Rows shared_;
};

}  // namespace quernel::engine
