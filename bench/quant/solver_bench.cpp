// Seconds of each stage of quantization per matrix shape: factor, scale search, error feedback, loss.
//
// Usage    solver_bench [threads] [repeats]      (defaults: 2 threads, best of 3)
// Prints   one row a shape of SmolLM2-135M's block, the sum over its 30 blocks, then scale search per instruction set
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#include "base/rng.h"
#include "kernels/rounding/table.h"
#include "quant/integer_grid.h"
#include "quant/loss.h"
#include "quant/method.h"
#include "quant/prepared_hessian.h"
#include "quant/solver.h"
#include "sys/clock.h"
#include "sys/cpu.h"
#include "tensor/linalg.h"

namespace quernel::quant {
namespace {

// One linear of a block; `fresh` where it is the first to read its input and pays for the factor.
struct Shape {
  const char* name;
  std::int64_t rows;
  std::int64_t cols;
  bool fresh;
};

constexpr Shape kSmolLm2Block[] = {
    {"q_proj", 576, 576, true},     {"k_proj", 192, 576, false},    {"v_proj", 192, 576, false},
    {"o_proj", 576, 576, true},     {"gate_proj", 1536, 576, true}, {"up_proj", 1536, 576, false},
    {"down_proj", 576, 1536, true},
};
constexpr int kBlocks = 30;

Matrix normal_matrix(std::int64_t rows, std::int64_t cols, std::uint64_t seed) {
  CounterRng rng(seed, "bench");
  Matrix matrix = Matrix::uninitialized(rows, cols);
  std::generate(matrix.data(), matrix.data() + matrix.size(), [&] { return static_cast<float>(rng.normal()); });
  return matrix;
}

// Inputs that share a common direction and differ in size, as a model's do.
LayerStats correlated_stats(std::int64_t cols, sys::ThreadPool& pool) {
  const std::int64_t tokens = 2 * cols;
  Matrix inputs = normal_matrix(tokens, cols, 7);
  const Matrix sizes = normal_matrix(1, cols, 8);
  for (std::int64_t t = 0; t < tokens; ++t) {
    const float common = inputs(t, 0);
    for (std::int64_t k = 0; k < cols; ++k) inputs(t, k) = (inputs(t, k) + common) * (0.1F + std::abs(sizes(0, k)));
  }
  LayerStats stats{Matrix(cols, cols), tokens};
  syrk_accumulate(inputs, stats.hessian, pool);
  mirror_lower(stats.hessian);
  return stats;
}

double best_of(int repeats, const std::function<void()>& work) {
  double best = 1e30;
  for (int i = 0; i < repeats; ++i) {
    const sys::Stopwatch watch;
    work();
    best = std::min(best, watch.seconds());
  }
  return best;
}

struct Seconds {
  double factor = 0.0;
  double search = 0.0;
  double solve = 0.0;
  double loss = 0.0;
  [[nodiscard]] double total() const { return factor + search + solve + loss; }
};

Seconds time_shape(const Shape& shape, int repeats, sys::ThreadPool& pool) {
  GridSpec grid;
  grid.group_size = 64;
  const SolverSpec solver;
  const Matrix weight = normal_matrix(shape.rows, shape.cols, 9);
  const LayerStats stats = correlated_stats(shape.cols, pool);
  Seconds seconds;
  const PreparedHessian prepared = prepare_hessian(stats, grid, solver).value();
  if (shape.fresh) seconds.factor = best_of(repeats, [&] { (void)prepare_hessian(stats, grid, solver); });
  codec::IntegerMatrix matrix;
  seconds.search = best_of(repeats, [&] {
    IntegerGrid codes(shape.rows, shape.cols, grid, search_weights(&stats, grid, shape.cols));
    (void)codes.find_groups(weight, pool);
  });
  IntegerGrid codes(shape.rows, shape.cols, grid, search_weights(&stats, grid, shape.cols));
  (void)codes.find_groups(weight, pool);
  seconds.solve = best_of(repeats, [&] { (void)solve(weight, prepared, codes, pool); });
  matrix = std::move(codes).finish();
  seconds.loss = best_of(repeats, [&] { (void)measure_loss(weight, matrix, &stats, pool); });
  return seconds;
}

void print_row(const char* name, const Seconds& seconds) {
  fmt::print("{:<24}{:>10.4f}{:>10.4f}{:>10.4f}{:>10.4f}{:>10.4f}\n", name, seconds.factor, seconds.search,
             seconds.solve, seconds.loss, seconds.total());
}

void time_block(int repeats, sys::ThreadPool& pool) {
  fmt::print("{:<24}{:>10}{:>10}{:>10}{:>10}{:>10}\n", "seconds", "factor", "search", "solve", "loss", "total");
  Seconds sum;
  for (const Shape& shape : kSmolLm2Block) {
    const Seconds seconds = time_shape(shape, repeats, pool);
    print_row(fmt::format("{} {}x{}", shape.name, shape.rows, shape.cols).c_str(), seconds);
    sum.factor += seconds.factor * kBlocks;
    sum.search += seconds.search * kBlocks;
    sum.solve += seconds.solve * kBlocks;
    sum.loss += seconds.loss * kBlocks;
  }
  print_row("30 blocks", sum);
}

// Trials a second of the inner loop of scale search, on one thread.
void time_rounding(int repeats) {
  constexpr std::int64_t kCount = 64;
  constexpr std::int64_t kLanes = 48;
  constexpr int kGroups = 20000;
  const Matrix values = normal_matrix(1, kCount, 3);
  std::vector<float> weights(kCount, 1.0F);
  std::vector<float> inverse(kLanes, 3.0F);
  std::vector<float> losses(kLanes);
  for (const kernels::rounding::Variant& variant : kernels::rounding::variants()) {
    if (!sys::can_use(variant.isa)) continue;
    const double seconds = best_of(repeats, [&] {
      for (int i = 0; i < kGroups; ++i) {
        variant.functions.candidate_losses(values.data(), weights.data(), kCount,
                                           {inverse.data(), -8.0F, 7.0F, losses.data(), kLanes});
      }
    });
    fmt::print("scale search, {:<10} {:>8.2f} G trial weights/s a thread\n", variant.name,
               static_cast<double>(kCount * kLanes * kGroups) / seconds / 1e9);
  }
}

}  // namespace
}  // namespace quernel::quant

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::max(1, std::atoi(argv[1])) : 2;
  const int repeats = argc > 2 ? std::max(1, std::atoi(argv[2])) : 3;
  fmt::print("{}, {}, {} threads, W4 g64, default search and order\n", quernel::sys::cpu_description(),
             quernel::blas_description(), threads);
  quernel::sys::ThreadPool pool(threads);
  quernel::quant::time_block(repeats, pool);
  quernel::quant::time_rounding(repeats);
  return 0;
}
