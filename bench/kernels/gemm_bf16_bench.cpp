// The bf16 products beside fp32 ones of the library, same shapes, same threads: the ratio decides fast_bf16().
#include <fmt/format.h>

#include <string>

#include "bench_support.h"
#include "kernels/gemm_bf16/driver.h"
#include "sys/thread_pool.h"
#include "tensor/linalg.h"

namespace quernel::bench {
namespace {

using namespace kernels::gemm_bf16;

struct Shape {
  std::int64_t m, n, k;
};

// A null variant stands for the library.
void run_nt(::benchmark::State& state, const Functions* functions, Shape s, int threads) {
  sys::ThreadPool pool(threads);
  const Matrix a = random_matrix(s.m, s.k);
  const Matrix b = random_matrix(s.n, s.k);
  Matrix out(s.m, s.n);
  for (auto _ : state) {
    if (functions == nullptr)
      quernel::gemm_nt(a, b, out, false, pool);
    else
      gemm_nt_with(*functions, a, b.view(), out, false, pool);
  }
  report_flops(state, 2.0 * static_cast<double>(s.m * s.n * s.k));
}

void run_syrk(::benchmark::State& state, const Functions* functions, Shape s, int threads) {
  sys::ThreadPool pool(threads);
  const Matrix x = random_matrix(s.k, s.n);
  Matrix out(s.n, s.n);
  for (auto _ : state) {
    if (functions == nullptr)
      quernel::syrk_accumulate(x, out, pool);
    else
      syrk_accumulate_with(*functions, x, out, pool);
  }
  report_flops(state, static_cast<double>(s.n * s.n * s.k));
}

void run_tn(::benchmark::State& state, const Functions* functions, Shape s, int threads) {
  sys::ThreadPool pool(threads);
  const Matrix x = random_matrix(s.k, s.m);
  const Matrix y = random_matrix(s.k, s.n);
  Matrix out(s.m, s.n);
  for (auto _ : state) {
    if (functions == nullptr)
      quernel::gemm_tn_accumulate(x, y, out, pool);
    else
      gemm_tn_accumulate_with(*functions, x, y, out, pool);
  }
  report_flops(state, 2.0 * static_cast<double>(s.m * s.n * s.k));
}

void register_one(const std::string& name, const Functions* functions) {
  for (const int threads : {1, 2}) {
    for (const Shape s : {Shape{512, 576, 576}, Shape{2048, 1536, 576}, Shape{2048, 576, 1536}, Shape{64, 1536, 576},
                          Shape{2048, 4096, 4096}})
      ::benchmark::RegisterBenchmark(fmt::format("{}/nt/{}x{}x{}/threads:{}", name, s.m, s.n, s.k, threads).c_str(),
                                     [=](::benchmark::State& state) { run_nt(state, functions, s, threads); })
          ->UseRealTime();
    for (const Shape s : {Shape{0, 576, 4096}, Shape{0, 1536, 4096}, Shape{0, 4096, 2048}})
      ::benchmark::RegisterBenchmark(fmt::format("{}/syrk/{}x{}/threads:{}", name, s.k, s.n, threads).c_str(),
                                     [=](::benchmark::State& state) { run_syrk(state, functions, s, threads); })
          ->UseRealTime();
    const Shape s{576, 1536, 4096};
    ::benchmark::RegisterBenchmark(fmt::format("{}/tn/{}x{}x{}/threads:{}", name, s.m, s.n, s.k, threads).c_str(),
                                   [=](::benchmark::State& state) { run_tn(state, functions, s, threads); })
        ->UseRealTime();
  }
}

}  // namespace

void register_gemm_bf16() {
  register_one("linalg/fp32", nullptr);
  for (const Variant& variant : variants())
    if (sys::can_use(variant.isa) && variant.isa != sys::Isa::scalar) register_one(variant.name, &variant.functions);
}

}  // namespace quernel::bench
