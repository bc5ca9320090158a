#include <benchmark/benchmark.h>

#include "bench_support.h"
#include "sys/cpu.h"
#include "sys/thread_pool.h"
#include "tensor/linalg.h"

int main(int argc, char** argv) {
  ::benchmark::Initialize(&argc, argv);
  if (::benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  ::benchmark::AddCustomContext("cpu", quernel::sys::cpu_description());
  ::benchmark::AddCustomContext("cores", std::to_string(quernel::sys::usable_cores()));
  ::benchmark::AddCustomContext("blas", quernel::blas_description());
  quernel::bench::register_gemv();
  quernel::bench::register_gemm_bf16();
  quernel::bench::register_attention_float();
  quernel::bench::register_rowwise();
  ::benchmark::RunSpecifiedBenchmarks();
  ::benchmark::Shutdown();
  return 0;
}
