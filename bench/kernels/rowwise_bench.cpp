#include <fmt/format.h>

#include <string>

#include "bench_support.h"
#include "kernels/rowwise/table.h"

namespace quernel::bench {
namespace {

using namespace kernels::rowwise;

template <class Body>
void add(const Variant& variant, const char* function, std::int64_t size, Body body) {
  ::benchmark::RegisterBenchmark(
      fmt::format("{}/{}/{}", variant.name, function, size).c_str(), [=](::benchmark::State& state) {
        const Matrix x = random_matrix(1, size);
        const Matrix y = random_matrix(1, size);
        Matrix out = random_matrix(1, size);
        for (auto _ : state) {
          body(variant.functions, x.data(), y.data(), out.data(), size);
          ::benchmark::ClobberMemory();
        }
        state.counters["G elements/s"] =
            ::benchmark::Counter(static_cast<double>(size) * 1e-9, ::benchmark::Counter::kIsIterationInvariantRate);
      });
}

}  // namespace

void register_rowwise() {
  using Row = const float*;
  for (const Variant& variant : variants()) {
    if (!sys::can_use(variant.isa)) continue;
    add(variant, "rms_norm", 576,
        [](const Functions& f, Row x, Row y, float* out, std::int64_t n) { f.rms_norm(x, y, 1e-5F, out, n); });
    add(variant, "silu_mul", 1536,
        [](const Functions& f, Row x, Row y, float* out, std::int64_t n) { f.silu_mul(x, y, out, n); });
    add(variant, "gelu_tanh_mul", 1536,
        [](const Functions& f, Row x, Row y, float* out, std::int64_t n) { f.gelu_tanh_mul(x, y, out, n); });
    add(variant, "add_scaled", 576,
        [](const Functions& f, Row x, Row, float* out, std::int64_t n) { f.add_scaled(x, 0.0F, out, n); });
    add(variant, "soft_cap", 49152,
        [](const Functions& f, Row, Row, float* out, std::int64_t n) { f.soft_cap(out, 30.0F, n); });
    add(variant, "softmax", 2048, [](const Functions& f, Row, Row, float* out, std::int64_t n) { f.softmax(out, n); });
    add(variant, "log_sum_exp", 49152, [](const Functions& f, Row x, Row, float*, std::int64_t n) {
      ::benchmark::DoNotOptimize(f.log_sum_exp(x, n));
    });
  }
}

}  // namespace quernel::bench
