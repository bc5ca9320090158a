// A model's packed weights with everything that a packed file can hold: a layer of four modules (plain groups with a bias; act-order with single
// weights; two levels; a table of levels) and a dense head. For tests and for the fuzz target.
#pragma once

#include <numeric>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "codec/integer_matrix.h"
#include "engine/model_weights.h"

namespace quernel::test {

inline constexpr std::int64_t kSampleRows = 40;
inline constexpr std::int64_t kSampleCols = 64;
inline constexpr std::int64_t kSampleHead = 19;

inline codec::IntegerMatrix sample_matrix(std::uint64_t seed) {
  CounterRng rng(seed, "packed sample");
  codec::IntegerMatrix m;
  m.rows = kSampleRows;
  m.cols = kSampleCols;
  m.bits = 4;
  m.group_size = 32;
  m.group_of_column = codec::contiguous_groups(m.cols, m.group_size);
  m.codes.resize(static_cast<std::size_t>(m.rows * m.cols));
  for (auto& code : m.codes) code = static_cast<std::uint8_t>(rng.below(16));
  const auto groups = static_cast<std::size_t>(m.rows * m.num_groups());
  for (std::size_t g = 0; g < groups; ++g) {
    m.zero_points.push_back(static_cast<std::uint8_t>(rng.below(16)));
    m.scales.push_back(0.0625F * static_cast<float>(1 + rng.below(8)));
  }
  return m;
}

// Modules without weights, as engine::load_frame makes them from a checkpoint.
inline engine::ModelWeights sample_frame() {
  engine::ModelWeights weights;
  weights.final_norm.assign(kSampleCols, 1.0F);
  engine::Layer layer;
  for (const char* name : {"a", "b", "c", "d"})
    layer.modules.push_back({name, model::Site::attention_in, kSampleRows, kSampleCols, {}});
  weights.layers.push_back(std::move(layer));
  return weights;
}

inline engine::PackedLinear sample_with_table() {
  kernels::packed::WeightView shape;
  shape.codes = kernels::packed::Codes::u4_table;
  shape.groups = kernels::packed::Groups::f16_fixed;
  shape.fixed_zero = 127;
  std::iota(std::begin(shape.table), std::end(shape.table), std::uint8_t{3});
  shape.rows = kSampleRows;
  shape.cols = kSampleCols;
  shape.group_size = 32;
  engine::PackedLinear linear;
  linear.weight = std::move(kernels::packed::PackedWeight::make(shape)).value();
  for (std::uint64_t i = 0; i < 640; ++i) linear.weight.codes()[i] = static_cast<std::uint8_t>(37 * i);
  return linear;
}

inline engine::ModelWeights sample_weights(sys::ThreadPool& pool) {
  engine::ModelWeights weights = sample_frame();
  engine::PackedLinear plain = std::move(engine::pack_integers(sample_matrix(1), {pool})).value();
  plain.bias.assign(kSampleRows, 0.5F);
  codec::IntegerMatrix mixed = sample_matrix(2);
  std::swap(mixed.group_of_column[3], mixed.group_of_column[40]);
  mixed.outliers = {{0, 5, 4.0F}, {39, 63, -2.5F}};
  for (const codec::Outlier& outlier : mixed.outliers) {
    const std::int64_t group = mixed.group_of_column[static_cast<std::size_t>(outlier.col)];
    mixed.codes[static_cast<std::size_t>(outlier.row * kSampleCols + outlier.col)] =
        mixed.zero_points[static_cast<std::size_t>(outlier.row * mixed.num_groups() + group)];
  }
  codec::IntegerMatrix levels = sample_matrix(3);
  levels.levels.emplace();
  levels.levels->row_scales.assign(kSampleRows, 0.125F);
  levels.levels->group_scales.assign(levels.scales.size(), 3);
  auto& linears = weights.layers[0].linears;
  linears.push_back(std::move(plain));
  linears.push_back(std::move(engine::pack_integers(std::move(mixed), {pool})).value());
  linears.push_back(std::move(engine::pack_integers(std::move(levels), {pool})).value());
  linears.push_back(sample_with_table());
  Matrix head(kSampleHead, kSampleCols);
  CounterRng rng(4, "head");
  for (std::int64_t i = 0; i < head.size(); ++i) head.data()[i] = static_cast<float>(rng.normal());
  weights.head = std::move(engine::pack_dense(runtime::own_weight(std::move(head)), {pool})).value();
  return weights;
}

}  // namespace quernel::test
