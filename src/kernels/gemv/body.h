// gemv over F32x16. Included by instruction-set files after one simd/f32x16_*.h.
//
// A tile is kTileRows weight rows times a group of vectors, one register of partial sums each: as many independent chains as
// hide the latency of an addition, and each weight register is used for the whole group. Further groups read the same rows
// from the first-level cache.
#pragma once

#include "kernels/gemv/gemv.h"

namespace quernel::kernels::gemv {
namespace {

using simd::F32x16;

constexpr std::int64_t kLanes = 16;

inline F32x16 load_tail(const float* from, std::int64_t count) { return simd::load_partial(from, count, 0.0F); }
inline F32x16 load_tail(const std::uint16_t* from, std::int64_t count) { return simd::load_partial(from, count); }

template <int kRows, int kVectors, class Weight>
void run_tile(const Args<Weight>& args, std::int64_t row, std::int64_t vector) {
  const Weight* weight = args.weight + row * args.weight_stride;
  const float* x = args.x + vector * args.x_stride;
  F32x16 sums[kRows][kVectors];
  for (auto& of_row : sums)
    for (F32x16& sum : of_row) sum = simd::broadcast(0.0F);
  const auto add_products = [&](auto load_weight, auto load_x) {
    F32x16 values[kVectors];
    for (int v = 0; v < kVectors; ++v) values[v] = load_x(x + v * args.x_stride);
    for (int r = 0; r < kRows; ++r) {
      const F32x16 w = load_weight(weight + r * args.weight_stride);
      for (int v = 0; v < kVectors; ++v) sums[r][v] = fma(w, values[v], sums[r][v]);
    }
  };
  std::int64_t k = 0;
  for (; k + kLanes <= args.num_cols; k += kLanes)
    add_products([k](const Weight* w) { return simd::load(w + k); }, [k](const float* p) { return simd::load(p + k); });
  if (const std::int64_t rest = args.num_cols - k; rest > 0)
    add_products([k, rest](const Weight* w) { return load_tail(w + k, rest); },
                 [k, rest](const float* p) { return load_tail(p + k, rest); });
  for (int v = 0; v < kVectors; ++v)
    for (int r = 0; r < kRows; ++r) args.out[(vector + v) * args.out_stride + row + r] = reduce_add(sums[r][v]);
}

template <int kRows, class Weight>
void run_rows(const Args<Weight>& args, std::int64_t row) {
  std::int64_t vector = 0;
  if constexpr (kTileVectors >= 4)
    for (; vector + 4 <= args.num_vectors; vector += 4) run_tile<kRows, 4>(args, row, vector);
  if constexpr (kTileVectors >= 2)
    for (; vector + 2 <= args.num_vectors; vector += 2) run_tile<kRows, 2>(args, row, vector);
  for (; vector < args.num_vectors; ++vector) run_tile<kRows, 1>(args, row, vector);
}

template <class Weight>
void run_all(const Args<Weight>& args) {
  std::int64_t row = 0;
  for (; row + kTileRows <= args.num_rows; row += kTileRows) run_rows<kTileRows>(args, row);
  for (; row < args.num_rows; ++row) run_rows<1>(args, row);
}

}  // namespace
}  // namespace quernel::kernels::gemv
