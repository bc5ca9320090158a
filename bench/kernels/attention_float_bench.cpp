// Prefill and decode of one key/value head at a context of 2048 and 8192.
#include <fmt/format.h>

#include <cmath>

#include "bench_support.h"
#include "kernels/attention_float/table.h"

namespace quernel::bench {
namespace {

using namespace kernels::attention_float;

struct Shape {
  std::int64_t tokens, heads, keys, head_dim;
};

void run(::benchmark::State& state, const Variant& variant, Shape s) {
  const Matrix q = random_matrix(s.tokens, s.heads * s.head_dim);
  const Matrix keys = random_matrix(s.keys, s.head_dim);
  const Matrix values = random_matrix(s.keys, s.head_dim);
  Matrix out(s.tokens, s.heads * s.head_dim);
  // Queries in pieces of 128 tokens, as a caller splits them over threads.
  constexpr std::int64_t kPiece = 128;
  const auto scratch = allocate_aligned<float>(scratch_floats(s.head_dim, kPiece, s.heads));
  Args args;
  args.q_token_stride = args.out_token_stride = s.heads * s.head_dim;
  args.q_head_stride = args.out_head_stride = args.key_stride = args.value_stride = args.head_dim = s.head_dim;
  args.num_heads = s.heads;
  args.keys = keys.data();
  args.values = values.data();
  args.num_keys = s.keys;
  args.scale = 1.0F / std::sqrt(static_cast<float>(s.head_dim));
  args.scratch = scratch.get();
  for (auto _ : state)
    for (std::int64_t first = 0; first < s.tokens; first += kPiece) {
      args.q = q.data() + first * args.q_token_stride;
      args.out = out.data() + first * args.out_token_stride;
      args.num_tokens = std::min(kPiece, s.tokens - first);
      args.first_query = s.keys - s.tokens + first;
      variant.run(args);
    }
  // Products and sums of visible pairs only.
  const auto visible = static_cast<double>(s.tokens) * static_cast<double>(2 * s.keys - s.tokens + 1) / 2;
  report_flops(state, 4.0 * visible * static_cast<double>(s.heads * s.head_dim));
  report_bytes(state, 8.0 * static_cast<double>(s.keys * s.head_dim));
}

}  // namespace

void register_attention_float() {
  for (const Variant& variant : variants()) {
    if (!sys::can_use(variant.isa)) continue;
    for (const Shape s :
         {Shape{2048, 3, 2048, 64}, Shape{512, 4, 2048, 128}, Shape{1, 3, 2048, 64}, Shape{1, 4, 8192, 128}})
      ::benchmark::RegisterBenchmark(
          fmt::format("{}/tokens:{}/heads:{}/keys:{}/head_dim:{}", variant.name, s.tokens, s.heads, s.keys, s.head_dim)
              .c_str(),
          [=](::benchmark::State& state) { run(state, variant, s); });
  }
}

}  // namespace quernel::bench
