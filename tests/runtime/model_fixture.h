// A TinyModel written to a folder, opened and loaded.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/checkpoint.h"
#include "runtime/float_model.h"
#include "runtime/tiny_model.h"
#include "support/temp_folder.h"

namespace quernel::runtime {

struct LoadedModel {
  explicit LoadedModel(const test::TinyModel& tiny, int threads = 2, Precision precision = Precision::f32)
      : pool(threads) {
    tiny.write(folder.path());
    auto opened = model::Checkpoint::open(folder.path());
    if (!opened.ok()) {
      ADD_FAILURE() << to_string(opened.error());
      return;
    }
    checkpoint.emplace(std::move(opened).value());
    auto loaded = FloatModel::load(*checkpoint, pool, precision);
    if (!loaded.ok()) {
      ADD_FAILURE() << to_string(loaded.error());
      return;
    }
    model.emplace(std::move(loaded).value());
  }

  test::TempFolder folder;
  sys::ThreadPool pool;
  std::optional<model::Checkpoint> checkpoint;
  std::optional<FloatModel> model;

  // Hidden states of one sequence in passes of `chunk` tokens over a cache; 0: one pass without.
  [[nodiscard]] Matrix hidden(const std::vector<std::int32_t>& tokens, std::int64_t chunk = 0) const {
    const auto size = static_cast<std::int64_t>(tokens.size());
    Matrix out(size, model->config().hidden_size);
    if (chunk == 0) {
      EXPECT_TRUE(model->forward(tokens, {{.num_tokens = size}}, out).ok());
      return out;
    }
    KvCache cache = model->make_cache(size);
    for (std::int64_t first = 0; first < size; first += chunk) {
      const std::int64_t rows = std::min(chunk, size - first);
      const auto part = std::span(tokens).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(rows));
      const Status status = model->forward(part, {{.num_tokens = rows, .position = first, .cache = &cache}},
                                           out.view().row_block(first, rows));
      EXPECT_TRUE(status.ok());
    }
    EXPECT_EQ(cache.length(), size);
    return out;
  }
  [[nodiscard]] Matrix logits(const std::vector<std::int32_t>& tokens, std::int64_t chunk = 0) const {
    const Matrix states = hidden(tokens, chunk);
    Matrix out(states.rows(), model->config().vocab_size);
    model->logits(states, out);
    return out;
  }
};

template <class Wanted>
double largest_difference(ConstMatrixView a, const Wanted& b) {
  double largest = 0.0;
  for (std::int64_t r = 0; r < a.rows; ++r) {
    for (std::int64_t c = 0; c < a.cols; ++c) {
      const double difference = std::abs(static_cast<double>(a(r, c)) - static_cast<double>(b(r, c)));
      if (!(difference <= largest)) largest = difference;  // NaN is the largest of all
    }
  }
  return largest;
}

inline bool same_bits(ConstMatrixView a, ConstMatrixView b) {
  if (a.rows != b.rows || a.cols != b.cols) return false;
  for (std::int64_t r = 0; r < a.rows; ++r) {
    if (!std::equal(a.row(r).begin(), a.row(r).end(), b.row(r).begin())) return false;
  }
  return true;
}

}  // namespace quernel::runtime
