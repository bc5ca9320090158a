// One group of a tile of rows: what refine.h does to it while all other groups stand still.
//
// Layout   "block" arrays are [columns of the group, lanes], rows of the matrix contiguous; "lane" arrays [lanes]
// Threads  an object belongs to one thread at a time
#pragma once

#include <cstdint>
#include <vector>

#include "quant/spec.h"
#include "tensor/matrix.h"

namespace quernel::quant {

// What all tiles share of a group.
struct GroupCurvature {
  std::int64_t first = 0;   // position of its first column
  std::int64_t count = 0;   // columns
  ConstMatrixView hessian;  // A_gg [count, count]
  Matrix upper, lower;      // U with A_gg^-1 = U^T U, and U^T; empty where scales are not searched
  std::vector<float> sums;  // [count] A_gg 1
  float total = 0.0F;       // 1 A_gg 1
};

// A group's state in a tile; scales relative to their rows' units.
struct GroupState {
  float* level = nullptr;       // block: code - zero point
  float* scale = nullptr;       // lanes
  float* low = nullptr;         // lanes: -zero point
  const float* unit = nullptr;  // lanes: powers of two; a row's values are multiples of it
  // lanes, relative to the units: a group's scale is this times a whole number, and its codes lie within INT8
  // (two_level_grid.h). Null: any scale that can be stored
  const float* row_scale = nullptr;
};

class GroupRefiner {
 public:
  GroupRefiner(const GridSpec& grid, const RefineSpec& spec, std::int64_t widest_group, std::int64_t max_lanes);

  // residual, a block: R_g. Changes `state`; returns the change of the values, a block, valid until the next call.
  const float* run(const GroupCurvature& group, const float* residual, std::int64_t lanes, GroupState state);

 private:
  struct Fit {
    float scale = 0.0F;
    float shift = 0.0F;  // of the zero point
    float gain = 0.0F;   // by which L falls
  };
  static constexpr int kDescentPasses = 2;  // a third changes next to nothing: the next round finds it

  void write_values(float* values) const;  // scale * level, a block
  void set_high();
  void refit_scales();
  [[nodiscard]] Fit fit_of(std::int64_t lane, float shift) const;
  void apply_shifts();
  bool search_scales();
  void try_scales(int step);
  void keep_better();
  bool take_best();
  void descend();
  [[nodiscard]] int num_trials() const;
  [[nodiscard]] float trial_scale(std::int64_t lane, int step) const;
  // The nearest scale that can be stored, and whether codes under it and this zero point can.
  [[nodiscard]] float stored(std::int64_t lane, float scale) const;
  [[nodiscard]] bool can_hold(std::int64_t lane, float scale, float zero_point) const;

  GridSpec grid_;
  RefineSpec spec_;
  float max_code_;

  const GroupCurvature* group_ = nullptr;
  GroupState state_;
  std::int64_t lanes_ = 0;

  std::vector<float> residual_, before_, product_;  // blocks: R_g; values before run(); A_gg times something
  std::vector<float> goal_, trial_, trial_level_, best_level_;                      // blocks of the search
  std::vector<float> high_, step_, value_, loss_, best_loss_, scale_, best_scale_;  // lanes
  std::vector<float> projection_, curvature_, coupling_,
      residual_sum_;                // lanes: level.R, level.A.level, 1.A.level, 1.R
  std::vector<std::int32_t> code_;  // lanes
};

}  // namespace quernel::quant
