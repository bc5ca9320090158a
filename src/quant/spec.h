// What to quantize to: the grid, and how its scales are found. Plain data that reports and resume fingerprints print.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "tensor/dtype.h"

namespace quernel::quant {

enum class Symmetry {
  asymmetric,            // integer zero point, range [min(w, 0), max(w, 0)]
  symmetric,             // zero point 2^(bits-1), range +-absmax, scale = 2 absmax / (2^bits - 1)
  full_range_symmetric,  // zero point 2^(bits-1), the smallest scale that clips nothing: the negative side may reach
                         // code 0
};

enum class ScaleSearch {
  minmax,        // the range of the group as it is
  mse,           // trial scales, plain squared error
  weighted_mse,  // trial scales, squared error weighted with diag(H); plain mse where no statistics exist
};

constexpr int kMaxRefineRounds = 100;
constexpr int kMaxSearchSteps = 256;  // finer steps are below the rounding of a 16-bit scale

struct GridSpec {
  int bits = 4;                   // 2, 3, 4, 8
  std::int64_t group_size = 128;  // elements along the input; -1: one group a row
  Symmetry symmetry = Symmetry::asymmetric;
  DType scale_dtype = DType::f16;  // scales are rounded to it before any code is chosen
  ScaleSearch search = ScaleSearch::weighted_mse;
  int search_steps = 40;  // shrink factors 1 ... search_min_factor, equally spaced
  double search_min_factor = 0.5;
  double lp_norm = 0.7;  // hqq: exponent of the error
  int lp_rounds = 20;    // hqq: rounds at most
};

enum class ColumnOrder {
  natural,
  act_order,    // columns by falling diag(H); groups keep their original columns (static) or follow the order (g_idx)
  group_aware,  // groups by falling max diag(H), columns sorted inside their group; a tail group comes last
};

// What follows the error-feedback pass (refine.h).
struct RefineSpec {
  int rounds = 3;            // 0: no refinement
  int search_steps = 8;      // trial scales of a group in each round, 0: none beside the closed form
  double search_span = 0.1;  // they lie within scale * (1 +- span)
};

enum class Target {
  weight,  // the weight
  inputs,  // what makes up for inputs that have drifted from the source's
  stream,  // and, in linears whose output joins the residual stream, for the drift of the stream
};

struct SolverSpec {
  ColumnOrder order = ColumnOrder::act_order;
  bool static_groups =
      true;            // grid of a group found on the original weight before the loop; false: on the compensated one
  double damp = 0.05;  // share of mean diag(H) added to the diagonal
  double damp_step = 0.01;         // added after each failed factorisation
  double damp_limit = 1.0;         // above it the matrix falls back to RTN
  std::int64_t block_size = 128;   // columns whose updates are delayed together
  Target target = Target::stream;  // target.h
  double target_strength = 0.5;    // share of the correction
  bool super_weights = false;      // keep what super_weights.h finds beside the codes
  RefineSpec refine;
};

std::string to_string(Symmetry symmetry);   // "asym", "sym", "full-range"
std::string to_string(ScaleSearch search);  // "minmax", "mse", "weighted-mse"
std::string to_string(ColumnOrder order);   // "natural", "act-order", "group-aware"
std::string to_string(Target target);       // "weight", "inputs", "stream"
Result<Symmetry> parse_symmetry(const std::string& name);
Result<ScaleSearch> parse_scale_search(const std::string& name);
Result<ColumnOrder> parse_column_order(const std::string& name);
Result<Target> parse_target(const std::string& name);

// Refuses what cannot be: bits outside 2, 3, 4, 8; group_size 0 or below -1; damp outside (0, damp_limit]; damp_limit
// above 1; block_size below 1; scale_dtype other than f32, f16, bf16.
Status validate(const GridSpec& grid);
Status validate(const SolverSpec& solver);

}  // namespace quernel::quant
