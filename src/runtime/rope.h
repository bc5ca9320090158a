// Rotary position embedding: angles by position, and the rotation of heads.
//
// Formula  (x[i], x[i + r/2]) <- (x[i] c - x[i + r/2] s, x[i + r/2] c + x[i] s), i < r/2, r = rotary_dim; the rest of the head
//          stays; c, s = attention_factor * cos, sin(position * frequency[i])
// Exact    frequencies and angles in double, stored as float
// Threads  const functions from any thread; positions are computed in blocks when first asked for
// Source   specs of the scalings: Llama 3.1's piecewise one; YaRN, arXiv 2309.00071
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "model/config.h"

namespace quernel::runtime {

// Radians a position, [rotary_dim / 2], after scaling and the file's own divisors.
std::vector<double> rope_frequencies(const model::RopeConfig& config);

// One model's angles: those of most layers, and those of its local layers where they differ (Gemma 3).
class RopeTable {
 public:
  static std::shared_ptr<const RopeTable> make(const model::ModelConfig& config);
  ~RopeTable();
  RopeTable(const RopeTable&) = delete;
  RopeTable& operator=(const RopeTable&) = delete;

  struct Angles {
    std::span<const float> cos;  // [rotary_dim / 2]
    std::span<const float> sin;
  };
  // 0 <= position < kMaxPositions; local selects the local table.
  [[nodiscard]] Angles at(std::int64_t position, bool local) const;
  [[nodiscard]] std::int64_t rotary_dim(bool local) const;

  static constexpr std::int64_t kMaxPositions = std::int64_t{1} << 24;  // float still tells neighbours apart

 private:
  struct Table;
  RopeTable(std::unique_ptr<Table> global, std::unique_ptr<Table> local);
  std::unique_ptr<Table> global_;
  std::unique_ptr<Table> local_;  // null: as global_
};

// Rotates one head in place; head [head_dim], head_dim >= rotary_dim.
void rotate_head(const RopeTable::Angles& angles, std::span<float> head);

}  // namespace quernel::runtime
