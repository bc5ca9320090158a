// A Hadamard transform that happens while the model runs, ready for kernels/hadamard.
#pragma once

#include <cmath>
#include <vector>

#include "kernels/hadamard/table.h"
#include "tensor/hadamard.h"

namespace quernel::engine {

class OnlineTransform {
 public:
  explicit OnlineTransform(std::int64_t size) {
    const Hadamard transform(size);
    signs_.assign(transform.core_signs().begin(), transform.core_signs().end());
    plan_.blocks = size / transform.block_size();
    plan_.core = transform.core_size();
    plan_.power = transform.power();
    plan_.scale = 1.0F / std::sqrt(static_cast<float>(transform.block_size()));
  }

  [[nodiscard]] std::int64_t scratch_floats() const { return plan_.core * plan_.power; }
  // row [size] in place.
  void apply(float* row, float* scratch) const {
    kernels::hadamard::Plan plan = plan_;
    plan.signs = signs_.data();
    kernels::hadamard::pick().transform(plan, row, scratch);
  }

 private:
  kernels::hadamard::Plan plan_;
  std::vector<float> signs_;
};

}  // namespace quernel::engine
