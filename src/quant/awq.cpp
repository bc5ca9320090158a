// AWQ, second half: clipped ranges, then plain rounding. The first half, scales, is transform/awq_scales.cpp.
//
// Formula  for each row and group, shrink factor f = 1 - i / 20, i = 0 .. 9: values clipped to +-f max|w|, the grid of that range;
//          loss e H_gg e^T, e = rounded - w and H_gg the group's block of H: the error of the group's partial dot products over all
//          calibration tokens. The least wins, the larger range on a tie
// Not      rows of queries and keys (MethodInput::score_rows): their whole range stays, since the product of both is what counts
// Edges    a block of H that is zero or not finite, or a loss that is not finite: the whole range
// Source   Lin et al., AWQ, MLSys 2024; the clipping search as in its code, with H in the place of sampled tokens
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/checked.h"
#include "quant/integer_grid.h"
#include "quant/methods.h"
#include "quant/prepared_hessian.h"
#include "quant/scale_search.h"
#include "tensor/linalg.h"

namespace quernel::quant {
namespace {

constexpr int kTrials = 10;  // the smallest keeps 0.55 of the range
constexpr std::int64_t kRowsPerTask = 16;

using GroupTrials = std::array<GroupGrid, kTrials>;

// Finds the grids of some rows of one group.
class ClipSearch {
 public:
  ClipSearch(const GridSpec& spec, ConstMatrixView block) : spec_(whole_range(spec)), finder_(spec_), block_(block) {
    const std::int64_t width = block.rows;
    clipped_.resize(static_cast<std::size_t>(width));
    ones_.assign(static_cast<std::size_t>(width), 1.0F);
    errors_ = Matrix::uninitialized(kRowsPerTask * kTrials, width);
    products_ = Matrix::uninitialized(kRowsPerTask * kTrials, width);
  }

  // weights [count, width] -> best [count]
  void find(ConstMatrixView weights, std::span<GroupGrid> best) {
    for (std::int64_t row = 0; row < weights.rows; ++row) try_factors(weights.row(row), row);
    const MatrixView errors = errors_.view().row_block(0, weights.rows * kTrials);
    const MatrixView products = products_.view().row_block(0, weights.rows * kTrials);
    gemm_nn(errors, block_, products, 1.0F, 0.0F);
    for (std::int64_t row = 0; row < weights.rows; ++row)
      best[static_cast<std::size_t>(row)] = choose(row, errors, products);
  }

  // The grid of the whole range.
  GroupGrid whole(std::span<const float> values) {
    return finder_.find(values, std::span<const float>(ones_).first(values.size()));
  }

 private:
  static GridSpec whole_range(GridSpec spec) {
    spec.search = ScaleSearch::minmax;
    return spec;
  }

  void try_factors(std::span<const float> values, std::int64_t row) {
    float largest = 0.0F;
    for (const float value : values) largest = std::max(largest, std::abs(value));
    // Errors near 1, so that their squares neither overflow nor vanish.
    const double unit = largest > 0.0F ? 1.0 / double{largest} : 1.0;
    for (int trial = 0; trial < kTrials; ++trial) {
      const float limit = largest * (1.0F - static_cast<float>(trial) / 20.0F);
      for (std::size_t k = 0; k < values.size(); ++k) clipped_[k] = std::clamp(values[k], -limit, limit);
      const GroupGrid grid = whole(clipped_);
      trials_[static_cast<std::size_t>(row)][static_cast<std::size_t>(trial)] = grid;
      const float low = static_cast<float>(-grid.zero_point);
      const float high = static_cast<float>((1 << spec_.bits) - 1 - grid.zero_point);
      const std::span<float> error = errors_.row(row * kTrials + trial);
      for (std::size_t k = 0; k < values.size(); ++k) {
        const float level = std::clamp(std::nearbyint(values[k] / grid.scale), low, high);
        error[k] = static_cast<float>((double{level} * double{grid.scale} - double{values[k]}) * unit);
      }
    }
  }

  GroupGrid choose(std::int64_t row, ConstMatrixView errors, ConstMatrixView products) const {
    const GroupTrials& trials = trials_[static_cast<std::size_t>(row)];
    GroupGrid best = trials.front();
    double least = std::numeric_limits<double>::infinity();
    for (int trial = 0; trial < kTrials; ++trial) {
      const std::int64_t at = row * kTrials + trial;
      double loss = 0.0;
      for (std::int64_t k = 0; k < errors.cols; ++k) loss += double{errors(at, k)} * double{products(at, k)};
      const GroupGrid& grid = trials[static_cast<std::size_t>(trial)];
      if (trial > 0 && (!grid.representable || !(loss < least))) continue;
      least =
          std::isfinite(loss) ? loss : -std::numeric_limits<double>::infinity();  // no figure: nothing beats the whole
      best = grid;
    }
    return best;
  }

  GridSpec spec_;
  GridFinder finder_;
  ConstMatrixView block_;
  std::vector<float> clipped_;
  std::vector<float> ones_;
  Matrix errors_;    // [rows * kTrials, width]
  Matrix products_;  // errors H_gg
  std::array<GroupTrials, kRowsPerTask> trials_{};
};

// Rows [first, end) of one group.
void find_rows(const MethodInput& input, std::int64_t group, std::int64_t first, std::int64_t end, IntegerGrid& grid,
               std::vector<std::int64_t>& failed) {
  const std::int64_t group_size = effective_group_size(input.grid, input.weight.cols);
  const std::int64_t begin = group * group_size;
  const std::int64_t width = std::min(group_size, input.weight.cols - begin);
  ClipSearch search(input.grid, input.stats->hessian.view().block(begin, width, begin, width));
  const ConstMatrixView weights = input.weight.block(first, end - first, begin, width);
  std::array<GroupGrid, kRowsPerTask> found;
  search.find(weights, found);
  for (std::int64_t row = first; row < end; ++row) {
    const GroupGrid chosen =
        row < input.score_rows ? search.whole(weights.row(row - first)) : found[static_cast<std::size_t>(row - first)];
    if (!chosen.representable) failed[static_cast<std::size_t>(row)] = group;
    grid.take_group(row, group, chosen.scale, chosen.zero_point);
  }
}

Status find_clipped_groups(const MethodInput& input, IntegerGrid& grid, sys::ThreadPool& pool) {
  const std::int64_t groups = ceil_div(input.weight.cols, effective_group_size(input.grid, input.weight.cols));
  std::vector<std::int64_t> failed(static_cast<std::size_t>(input.weight.rows), -1);
  pool.parallel_for(ceil_div(input.weight.rows, kRowsPerTask), [&](std::int64_t task) {
    const std::int64_t first = task * kRowsPerTask;
    const std::int64_t end = std::min(first + kRowsPerTask, input.weight.rows);
    for (std::int64_t group = 0; group < groups; ++group) find_rows(input, group, first, end, grid, failed);
  });
  for (std::size_t row = 0; row < failed.size(); ++row) {
    if (failed[row] < 0) continue;
    return unrepresentable_scale(input.grid, input.weight, static_cast<std::int64_t>(row), failed[row]);
  }
  return {};
}

}  // namespace

Result<MethodOutcome> run_awq(const MethodInput& input) {
  QUERNEL_TRY_STATUS(check_input(input));
  if (input.stats == nullptr) {
    return Error(Fault::invalid_argument, "awq needs calibration statistics")
        .with_hint("give calibration text, or use rtn, which needs none");
  }
  PoolOf pool(input);
  const std::int64_t cols = input.weight.cols;
  IntegerGrid grid(input.weight.rows, cols, input.grid, std::vector<float>(static_cast<std::size_t>(cols), 1.0F));
  QUERNEL_TRY_STATUS(find_clipped_groups(input, grid, *pool));
  grid.round_all(input.weight, *pool);
  MethodOutcome outcome = outcome_of(input, std::move(grid).finish(), *pool);
  for (std::int64_t k = 0; k < cols; ++k) outcome.dead_columns += input.stats->hessian(k, k) == 0.0F ? 1 : 0;
  return outcome;
}

}  // namespace quernel::quant
