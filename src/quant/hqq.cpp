// Half-quadratic quantization: scales and zero points that serve the bulk of a group and let its outliers go.
//
// Formula  minimise sum |w - s (q - z)|^p, p < 1, split in two: e = shrink(w - s (q - z)) takes the outliers' part of the error,
//          then s and z are those of least squares on w - e for the codes q; shrink_p(x) = sign(x) max(0, |x| - |x|^(p-1) / beta)
// Units    errors are taken in steps of the starting scale, so that beta means the same for every group
// Differs  the published method keeps the scale and moves a real zero point; checkpoint formats hold integer ones, so here the
//          scale moves and the zero point takes the neighbouring integers. A free scale could lower the sum by giving up whole
//          outliers, which ruins a model: so the squared error may never rise above that of plain rounding
// Exact    a group depends on its weights alone; a round is kept only where it lowers the sum
// Source   Badri, Shaji, "Half-Quadratic Quantization of Large Machine Learning Models", 2023
#include <algorithm>
#include <cmath>
#include <vector>

#include "quant/integer_grid.h"
#include "quant/methods.h"
#include "quant/scale_search.h"

namespace quernel::quant {
namespace {

constexpr double kBeta = 10.0;
constexpr double kBetaGrowth = 1.01;  // a round

// One group at a time; a thread's own.
class HalfQuadratic {
 public:
  explicit HalfQuadratic(const GridSpec& spec) : spec_(spec), max_code_((1 << spec.bits) - 1), start_(minmax(spec)) {}

  // ones: importance of the weights, which this method does not tell apart.
  GroupGrid find(std::span<const float> weights, std::span<const float> ones) {
    GroupGrid best = start_.find(weights, ones);
    step_ = best.scale;
    if (!best.representable) return best;
    const Loss start = loss(weights, best);
    most_squared_ = start.squared;
    double best_loss = start.power;
    double beta = kBeta;
    for (int round = 0; round < spec_.lp_rounds && best_loss > 0.0; ++round, beta *= kBetaGrowth) {
      if (!refit(weights, beta, best, best_loss)) break;
    }
    return best;
  }

 private:
  [[nodiscard]] std::int32_t code(float weight, const GroupGrid& grid) const {
    const float level = std::clamp(std::nearbyint(weight / grid.scale), static_cast<float>(-grid.zero_point),
                                   static_cast<float>(max_code_ - grid.zero_point));
    return static_cast<std::int32_t>(level) + grid.zero_point;
  }

  static GridSpec minmax(GridSpec spec) {
    spec.search = ScaleSearch::minmax;
    return spec;
  }

  [[nodiscard]] double error(float weight, const GroupGrid& grid) const {  // in steps of the starting scale
    const double value = static_cast<double>(grid.scale) * (code(weight, grid) - grid.zero_point);
    return (weight - value) / step_;
  }

  struct Loss {
    double power = 0.0;    // sum |error|^p
    double squared = 0.0;  // sum error^2
  };

  [[nodiscard]] Loss loss(std::span<const float> weights, const GroupGrid& grid) const {
    Loss sums;
    for (const float weight : weights) {
      const double size = std::abs(error(weight, grid));
      sums.power += std::pow(size, spec_.lp_norm);
      sums.squared += size * size;
    }
    return sums;
  }

  [[nodiscard]] double shrink(double x, double beta) const {
    if (x == 0.0) return 0.0;
    const double size = std::abs(x) - std::pow(std::abs(x), spec_.lp_norm - 1.0) / beta;
    return size > 0.0 ? std::copysign(size, x) : 0.0;
  }

  // The best of the zero points around the present one, each with its scale of least squares. False where none is better.
  bool refit(std::span<const float> weights, double beta, GroupGrid& grid, double& best_loss) {
    target_.resize(weights.size());
    levels_.resize(weights.size());
    for (std::size_t k = 0; k < weights.size(); ++k) {
      target_[k] = weights[k] - step_ * shrink(error(weights[k], grid), beta);
      levels_[k] = code(weights[k], grid);
    }
    const std::int32_t reach = spec_.symmetry == Symmetry::asymmetric ? 1 : 0;
    const std::int32_t centre = grid.zero_point;
    const GroupGrid before = grid;
    bool better = false;
    for (std::int32_t zero = std::max(centre - reach, 0); zero <= std::min(centre + reach, max_code_); ++zero) {
      const GroupGrid trial = with_zero_point(before, zero);
      const Loss reached = loss(weights, trial);
      if (!(reached.power < best_loss) || reached.squared > most_squared_) continue;
      grid = trial;
      best_loss = reached.power;
      better = true;
    }
    return better;
  }

  [[nodiscard]] GroupGrid with_zero_point(const GroupGrid& grid, std::int32_t zero_point) const {
    double product = 0.0;
    double square = 0.0;
    for (std::size_t k = 0; k < target_.size(); ++k) {
      const double level = levels_[k] - zero_point;
      product += target_[k] * level;
      square += level * level;
    }
    const float scale = square > 0.0 ? round_to_dtype(static_cast<float>(product / square), spec_.scale_dtype) : 0.0F;
    const bool usable = scale > 0.0F && std::isfinite(scale * static_cast<float>(max_code_));
    return {.scale = usable ? scale : grid.scale, .zero_point = zero_point, .representable = true};
  }

  GridSpec spec_;
  std::int32_t max_code_;
  GridFinder start_;
  double step_ = 1.0;
  double most_squared_ = 0.0;  // that of plain rounding
  std::vector<double> target_;
  std::vector<std::int32_t> levels_;
};

}  // namespace

Result<MethodOutcome> run_hqq(const MethodInput& input) {
  QUERNEL_TRY_STATUS(check_input(input));
  PoolOf pool(input);
  const auto make_finder = [&]() -> GroupFinder {
    return [solver = HalfQuadratic(input.grid)](std::span<const float> values, std::span<const float> ones) mutable {
      return solver.find(values, ones);
    };
  };
  IntegerGrid grid(input.weight.rows, input.weight.cols, input.grid,
                   search_weights(nullptr, input.grid, input.weight.cols));
  QUERNEL_TRY_STATUS(grid.find_groups(input.weight, *pool, make_finder));
  grid.round_all(input.weight, *pool);
  return outcome_of(input, std::move(grid).finish(), *pool);
}

}  // namespace quernel::quant
