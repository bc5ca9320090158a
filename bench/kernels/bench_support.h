// What the kernel benchmarks share. Each program verifies nothing: tests/kernels does.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>

#include "base/rng.h"
#include "sys/cpu.h"
#include "tensor/matrix.h"

namespace quernel::bench {

inline Matrix random_matrix(std::int64_t rows, std::int64_t cols) {
  CounterRng rng(1, "bench");
  Matrix matrix = Matrix::uninitialized(rows, cols);
  for (std::int64_t i = 0; i < matrix.size(); ++i) matrix.data()[i] = static_cast<float>(rng.uniform() - 0.5);
  return matrix;
}

// Figures beside the time: "GFLOP/s" and "GB/s" (1e9), per wall-clock second.
inline void report_flops(::benchmark::State& state, double flops_per_iteration) {
  state.counters["GFLOP/s"] =
      ::benchmark::Counter(flops_per_iteration * 1e-9, ::benchmark::Counter::kIsIterationInvariantRate);
}
inline void report_bytes(::benchmark::State& state, double bytes_per_iteration) {
  state.counters["GB/s"] =
      ::benchmark::Counter(bytes_per_iteration * 1e-9, ::benchmark::Counter::kIsIterationInvariantRate);
}

// One function a file; main.cpp calls them all. Benchmarks are named family/variant/shape.
void register_attention_float();
void register_gemm_bf16();
void register_gemv();
void register_rowwise();

}  // namespace quernel::bench
