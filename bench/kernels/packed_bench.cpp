// packed: bytes of weight a second for few rows (the limit is reading them), operations a second for many.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "base/rng.h"
#include "kernels/packed/pack.h"
#include "kernels/packed/table.h"
#include "sys/cpu.h"

namespace quernel::kernels::packed {
namespace {

struct Problem {
  PackedWeight weight;
  std::vector<std::int8_t> codes;
  std::vector<float> scales;
  std::vector<std::int32_t> sums;
  std::vector<std::int32_t> totals;
  std::vector<float> out;
  sys::HugeBuffer scratch;
  RowsView x;

  Problem(Codes kind, Groups groups, std::int64_t outputs, std::int64_t inputs, std::int64_t group_size,
          std::int64_t rows) {
    WeightView shape;
    shape.codes = kind;
    shape.groups = groups;
    shape.fixed_zero = 8;
    shape.rows = outputs;
    shape.cols = inputs;
    shape.group_size = group_size;
    weight = std::move(PackedWeight::make(shape)).value();
    CounterRng rng(1, "bench");
    std::vector<std::uint8_t> row(static_cast<std::size_t>(inputs));
    for (auto& code : row) code = static_cast<std::uint8_t>(rng.below(16));
    for (std::int64_t n = 0; n < outputs; ++n) put_row_codes(weight, n, row.data());
    codes.assign(static_cast<std::size_t>(rows * inputs), 3);
    scales.assign(static_cast<std::size_t>(rows), 0.5F);
    sums.assign(static_cast<std::size_t>(rows * inputs / group_size), static_cast<std::int32_t>(3 * group_size));
    totals.assign(static_cast<std::size_t>(rows), static_cast<std::int32_t>(3 * inputs));
    out.resize(static_cast<std::size_t>(rows * outputs));
    scratch = std::move(sys::HugeBuffer::make(static_cast<std::uint64_t>(4 * (inputs / 64) * 1024))).value();
    x = {codes.data(), scales.data(), sums.data(), totals.data(), inputs, inputs / group_size, group_size, rows};
  }

  [[nodiscard]] Args args() {
    return {weight.view(),
            x,
            0,
            weight.view().panels(),
            out.data(),
            weight.view().rows,
            reinterpret_cast<std::uint8_t*>(scratch.data())};
  }
};

void run(benchmark::State& state, Run kernel, Codes codes, Groups groups, std::int64_t group_size) {
  const std::int64_t inputs = 2048;
  Problem problem(codes, groups, state.range(0), inputs, group_size, state.range(1));
  const Args args = problem.args();
  for (auto _ : state) kernel(args);
  const auto calls = static_cast<double>(state.iterations());
  state.counters["GB/s"] =
      benchmark::Counter(static_cast<double>(problem.weight.bytes()) * calls * 1e-9, benchmark::Counter::kIsRate);
  state.counters["TOPS"] = benchmark::Counter(
      2.0 * static_cast<double>(inputs * state.range(0) * state.range(1)) * calls * 1e-12, benchmark::Counter::kIsRate);
}

void add(const Variant& variant) {
  struct Kind {
    const char* name;
    Codes codes;
    Groups groups;
    std::int64_t group_size;
  };
  const Kind kinds[] = {{"two_level_g64", Codes::u4, Groups::two_level, 64},
                        {"f16_g64", Codes::u4, Groups::f16, 64},
                        {"f16_g64_w3", Codes::u3, Groups::f16, 64},
                        {"f16_g64_w2", Codes::u2, Groups::f16, 64},
                        {"w8", Codes::u8, Groups::f16_fixed, 2048},
                        {"q4_0", Codes::u4, Groups::f16_fixed, 32},
                        {"q4_1", Codes::u4, Groups::f16_min, 32},
                        {"q5_0", Codes::u5, Groups::f16_fixed, 32},
                        {"q8_0", Codes::u8, Groups::f16_fixed, 32},
                        {"iq4_nl", Codes::u4_table, Groups::f16_fixed, 32},
                        {"q2_k", Codes::u2, Groups::k_min, 16},
                        {"q3_k", Codes::u3, Groups::k_scale, 16},
                        {"q4_k", Codes::u4, Groups::k_min, 32},
                        {"q5_k", Codes::u5, Groups::k_min, 32},
                        {"q6_k", Codes::u6, Groups::k_scale, 16}};
  for (const Kind& kind : kinds) {
    const auto start = [&](const std::string& part, Run kernel) {
      return benchmark::RegisterBenchmark(
          (std::string(variant.name) + "/" + kind.name + part).c_str(),
          [=](benchmark::State& state) { run(state, kernel, kind.codes, kind.groups, kind.group_size); });
    };
    // 2 MB of 4-bit weights: the second-level cache; 128 MB: memory.
    start("/few", variant.few)->ArgsProduct({{512}, {1}})->Unit(benchmark::kMicrosecond);
    start("/few", variant.few)->ArgsProduct({{2048}, {2, 4, 8, 16}})->Unit(benchmark::kMicrosecond);
    start("/few", variant.few)->ArgsProduct({{131072}, {1, 2, 4, 8}})->Unit(benchmark::kMicrosecond);
    if (variant.many != nullptr) {
      start("/many", variant.many)->ArgsProduct({{131072}, {4, 8}})->Unit(benchmark::kMicrosecond);
      start("/many", variant.many)->ArgsProduct({{2048}, {8, 16, 64, 512}})->Unit(benchmark::kMicrosecond);
    }
  }
}

[[maybe_unused]] const bool kAdded = [] {
  for (const Variant& variant : variants())
    if (sys::can_use(variant.isa) && variant.isa != sys::Isa::scalar) add(variant);
  return true;
}();

}  // namespace
}  // namespace quernel::kernels::packed
