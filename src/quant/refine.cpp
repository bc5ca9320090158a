#include "quant/refine.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <vector>

#include "base/checked.h"
#include "kernels/rounding/rounding.h"
#include "quant/group_refiner.h"
#include "tensor/linalg.h"

namespace quernel::quant {
namespace {

// What every tile of a job shares.
struct Job {
  ConstMatrixView target;
  ConstMatrixView hessian;
  std::span<const std::int32_t> order;
  const GridSpec& grid;
  const RefineSpec& spec;
  codec::IntegerMatrix& matrix;
  std::vector<GroupCurvature> groups;  // in the order of their first columns

  // Scales are whole numbers of row scales. With one group a row the row scale is the group's, and as free as any.
  [[nodiscard]] bool bound_to_rows() const { return matrix.levels.has_value() && groups.size() > 1; }
};

// Buffers of one thread, for one tile at a time; blocks are [cols, lanes].
struct Scratch {
  std::vector<float> target, level, residual, error;
  std::vector<float> scale, low;                // [groups, lanes]
  std::vector<float> unit, row_scale;           // lanes
  std::vector<double> loss_before, loss_after;  // lanes
  GroupRefiner refiner;

  Scratch(const Job& job, std::int64_t widest_group) : refiner(job.grid, job.spec, widest_group, kRefineRows) {
    const auto lanes = static_cast<std::size_t>(kRefineRows);
    for (std::vector<float>* each : {&target, &level, &residual, &error}) {
      each->resize(static_cast<std::size_t>(job.matrix.cols) * lanes);
    }
    for (std::vector<float>* each : {&scale, &low}) each->resize(job.groups.size() * lanes);
    for (std::vector<float>* each : {&unit, &row_scale}) each->resize(lanes);
    for (std::vector<double>* each : {&loss_before, &loss_after}) each->resize(lanes);
  }
};

// A power of two that is normal, as is its inverse.
float unit_of(std::span<const float> row) {
  float largest = 0.0F;
  for (const float value : row) largest = std::max(largest, std::abs(value));
  return largest > 0.0F ? std::ldexp(1.0F, std::clamp(std::ilogb(largest), -125, 125)) : 1.0F;
}

class TileRefiner {
 public:
  TileRefiner(const Job& job, Scratch& scratch, std::int64_t first, std::int64_t count)
      : job_(job),
        scratch_(scratch),
        first_(first),
        count_(count),
        lanes_(ceil_div(count, kernels::rounding::kLaneMultiple) * kernels::rounding::kLaneMultiple) {}

  std::int64_t run() {
    load();
    measure(scratch_.loss_before);
    for (int round = 0; round < job_.spec.rounds; ++round) run_round();
    measure(scratch_.loss_after);
    return store();
  }

 private:
  [[nodiscard]] std::int64_t cols() const { return job_.matrix.cols; }
  [[nodiscard]] std::size_t at(std::int64_t index, std::int64_t lane) const {
    return static_cast<std::size_t>(index * lanes_ + lane);
  }
  [[nodiscard]] std::int64_t group_at(std::size_t place) const {
    const auto column = static_cast<std::size_t>(job_.order[static_cast<std::size_t>(job_.groups[place].first)]);
    return job_.matrix.group_of_column[column];
  }

  void load() {
    for (std::vector<float>* each : {&scratch_.target, &scratch_.level, &scratch_.low}) {
      std::fill(each->begin(), each->end(), 0.0F);
    }
    std::fill(scratch_.scale.begin(), scratch_.scale.end(), 1.0F);
    std::fill(scratch_.unit.begin(), scratch_.unit.end(), 1.0F);
    std::fill(scratch_.row_scale.begin(), scratch_.row_scale.end(), 1.0F);
    for (std::int64_t i = 0; i < count_; ++i) load_row(i);
  }

  void load_row(std::int64_t i) {
    const codec::IntegerMatrix& matrix = job_.matrix;
    const std::int64_t row = first_ + i;
    const std::int64_t num_groups = matrix.num_groups();
    const float unit = unit_of(job_.target.row(row));
    const float inverse = 1.0F / unit;
    scratch_.unit[at(0, i)] = unit;
    if (job_.bound_to_rows()) {
      scratch_.row_scale[at(0, i)] = matrix.levels->row_scales[static_cast<std::size_t>(row)] * inverse;
    }
    for (std::size_t place = 0; place < job_.groups.size(); ++place) {
      const auto from = static_cast<std::size_t>(row * num_groups + group_at(place));
      scratch_.scale[at(static_cast<std::int64_t>(place), i)] = matrix.scales[from] * inverse;
      scratch_.low[at(static_cast<std::int64_t>(place), i)] = -static_cast<float>(matrix.zero_points[from]);
    }
    for (std::int64_t p = 0; p < cols(); ++p) {
      const auto column = static_cast<std::int64_t>(job_.order[static_cast<std::size_t>(p)]);
      const auto group = matrix.group_of_column[static_cast<std::size_t>(column)];
      const int zero_point = matrix.zero_points[static_cast<std::size_t>(row * num_groups + group)];
      scratch_.target[at(p, i)] = job_.target(row, column) * inverse;
      scratch_.level[at(p, i)] =
          static_cast<float>(matrix.codes[static_cast<std::size_t>(row * cols() + column)] - zero_point);
    }
  }

  // R afresh, and L of every row.
  void measure(std::vector<double>& loss) {
    for (std::size_t place = 0; place < job_.groups.size(); ++place) {
      const GroupCurvature& group = job_.groups[place];
      const float* scale = scratch_.scale.data() + at(static_cast<std::int64_t>(place), 0);
      for (std::int64_t p = group.first; p < group.first + group.count; ++p) {
        for (std::int64_t i = 0; i < lanes_; ++i) {
          scratch_.error[at(p, i)] = scratch_.target[at(p, i)] - scale[i] * scratch_.level[at(p, i)];
        }
      }
    }
    gemm_nn(job_.hessian, ConstMatrixView(scratch_.error.data(), cols(), lanes_),
            MatrixView(scratch_.residual.data(), cols(), lanes_), 1.0F, 0.0F);
    std::fill(loss.begin(), loss.end(), 0.0);
    for (std::int64_t p = 0; p < cols(); ++p) {
      for (std::int64_t i = 0; i < lanes_; ++i) {
        loss[static_cast<std::size_t>(i)] +=
            static_cast<double>(scratch_.error[at(p, i)]) * scratch_.residual[at(p, i)];
      }
    }
  }

  void run_round() {
    for (std::size_t place = 0; place < job_.groups.size(); ++place) {
      const GroupCurvature& group = job_.groups[place];
      const auto lane0 = at(static_cast<std::int64_t>(place), 0);
      const GroupState state = {scratch_.level.data() + at(group.first, 0), scratch_.scale.data() + lane0,
                                scratch_.low.data() + lane0, scratch_.unit.data(),
                                job_.bound_to_rows() ? scratch_.row_scale.data() : nullptr};
      const float* change = scratch_.refiner.run(group, scratch_.residual.data() + at(group.first, 0), lanes_, state);
      gemm_nn(job_.hessian.block(0, cols(), group.first, group.count), ConstMatrixView(change, group.count, lanes_),
              MatrixView(scratch_.residual.data(), cols(), lanes_), -1.0F, 1.0F);
    }
  }

  std::int64_t store() {
    std::int64_t improved = 0;
    for (std::int64_t i = 0; i < count_; ++i) {
      const auto lane = static_cast<std::size_t>(i);
      if (!(scratch_.loss_after[lane] < scratch_.loss_before[lane])) continue;
      store_row(i);
      ++improved;
    }
    return improved;
  }

  void store_row(std::int64_t i) {
    codec::IntegerMatrix& matrix = job_.matrix;
    const std::int64_t row = first_ + i;
    for (std::size_t place = 0; place < job_.groups.size(); ++place) {
      const auto lane = at(static_cast<std::int64_t>(place), i);
      const auto to = static_cast<std::size_t>(row * matrix.num_groups() + group_at(place));
      matrix.scales[to] = scratch_.scale[lane] * scratch_.unit[at(0, i)];
      store_levels(row, to);
      matrix.zero_points[to] = static_cast<std::uint8_t>(-scratch_.low[lane]);
      const GroupCurvature& group = job_.groups[place];
      for (std::int64_t p = group.first; p < group.first + group.count; ++p) {
        const auto column = static_cast<std::int64_t>(job_.order[static_cast<std::size_t>(p)]);
        matrix.codes[static_cast<std::size_t>(row * cols() + column)] =
            static_cast<std::uint8_t>(scratch_.level[at(p, i)] - scratch_.low[lane]);
      }
    }
  }

  // The two factors of a scale, where the matrix has them.
  void store_levels(std::int64_t row, std::size_t group) {
    codec::IntegerMatrix& matrix = job_.matrix;
    if (!matrix.levels.has_value()) return;
    float& row_scale = matrix.levels->row_scales[static_cast<std::size_t>(row)];
    if (!job_.bound_to_rows()) {
      row_scale = matrix.scales[group];
      return;
    }
    const float multiple = std::nearbyint(matrix.scales[group] / row_scale);
    matrix.levels->group_scales[group] = static_cast<std::uint8_t>(multiple);
    matrix.scales[group] = row_scale * multiple;
  }

  const Job& job_;
  Scratch& scratch_;
  std::int64_t first_, count_, lanes_;
};

// U with A_gg^-1 = U^T U. Positive definite as a part of A is.
void add_factor(GroupCurvature& group) {
  MatrixF64 hessian = MatrixF64::uninitialized(group.count, group.count);
  for (std::int64_t r = 0; r < group.count; ++r) {
    std::copy(group.hessian.row(r).begin(), group.hessian.row(r).end(), hessian.row(r).begin());
  }
  Result<MatrixF64> upper = inverse_upper_cholesky(hessian);
  if (!upper.ok()) return;  // not after rounding to float: the group is then not searched
  group.upper = Matrix(group.count, group.count);
  group.lower = Matrix(group.count, group.count);
  for (std::int64_t r = 0; r < group.count; ++r) {
    for (std::int64_t c = r; c < group.count; ++c) {
      group.upper(r, c) = group.lower(c, r) = static_cast<float>((*upper)(r, c));
    }
  }
}

std::vector<GroupCurvature> curvatures(ConstMatrixView hessian, std::span<const std::int32_t> order,
                                       const codec::IntegerMatrix& matrix, bool searched) {
  std::vector<GroupCurvature> groups;
  std::int32_t last = -1;
  for (std::int64_t p = 0; p < matrix.cols; ++p) {
    const auto column = static_cast<std::size_t>(order[static_cast<std::size_t>(p)]);
    if (matrix.group_of_column[column] != last) {
      groups.emplace_back().first = p;
      last = matrix.group_of_column[column];
    }
    ++groups.back().count;
  }
  for (GroupCurvature& group : groups) {
    group.hessian = hessian.block(group.first, group.count, group.first, group.count);
    double total = 0.0;
    for (std::int64_t k = 0; k < group.count; ++k) {
      const auto row = group.hessian.row(k);
      const double sum = std::accumulate(row.begin(), row.end(), 0.0);
      group.sums.push_back(static_cast<float>(sum));
      total += sum;
    }
    group.total = static_cast<float>(total);
    if (searched) add_factor(group);
  }
  return groups;
}

}  // namespace

std::vector<std::int32_t> refine_order(const codec::IntegerMatrix& matrix, std::span<const float> diagonal) {
  std::vector<std::int32_t> order(diagonal.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    const auto i = static_cast<std::size_t>(a);
    const auto j = static_cast<std::size_t>(b);
    if (matrix.group_of_column[i] != matrix.group_of_column[j]) {
      return matrix.group_of_column[i] < matrix.group_of_column[j];
    }
    return diagonal[i] > diagonal[j];
  });
  return order;
}

std::int64_t refine(ConstMatrixView target, ConstMatrixView hessian, std::span<const std::int32_t> order,
                    const GridSpec& grid, const RefineSpec& spec, codec::IntegerMatrix& matrix, sys::ThreadPool& pool) {
  QUERNEL_CHECK(target.rows == matrix.rows && target.cols == matrix.cols && hessian.rows == matrix.cols,
                "refining {} x {} towards {} x {}", matrix.rows, matrix.cols, target.rows, target.cols);
  QUERNEL_CHECK(std::cmp_equal(order.size(), matrix.cols));
  if (spec.rounds == 0 || matrix.rows == 0 || matrix.cols == 0) return 0;
  const Job job = {
      target, hessian, order, grid, spec, matrix, curvatures(hessian, order, matrix, spec.search_steps > 0)};
  std::int64_t widest = 0;
  for (const GroupCurvature& group : job.groups) widest = std::max(widest, group.count);
  const std::int64_t tasks = ceil_div(matrix.rows, kRefineRows);
  std::vector<std::unique_ptr<Scratch>> scratch(static_cast<std::size_t>(pool.num_threads()));
  std::vector<std::int64_t> improved(static_cast<std::size_t>(tasks), 0);
  pool.parallel_for_worker(tasks, [&](std::int64_t task, int worker) {
    std::unique_ptr<Scratch>& own = scratch[static_cast<std::size_t>(worker)];
    if (own == nullptr) own = std::make_unique<Scratch>(job, widest);
    const std::int64_t first = task * kRefineRows;
    improved[static_cast<std::size_t>(task)] =
        TileRefiner(job, *own, first, std::min(kRefineRows, matrix.rows - first)).run();
  });
  return std::accumulate(improved.begin(), improved.end(), std::int64_t{0});
}

}  // namespace quernel::quant
