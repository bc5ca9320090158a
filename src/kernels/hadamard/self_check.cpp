#include "kernels/hadamard/self_check.h"

#include <array>
#include <cstring>
#include <vector>

#include "base/rng.h"

namespace quernel::kernels::hadamard {

bool gives_reference_bits(Transform transform, Transform reference) {
  static constexpr std::array<float, 16> kSigns{1, 1, 1, 1, 1, -1, 1, -1, 1, 1, -1, -1, 1, -1, -1, 1};
  CounterRng rng(1, "self check");
  for (const std::int64_t core : {1, 4})
    for (const std::int64_t power : {1, 8, 16, 64, 256}) {
      const Plan plan{3, core, power, core == 1 ? nullptr : kSigns.data(), 0.3F};
      std::vector<float> row(static_cast<std::size_t>(plan.blocks * core * power));
      for (float& value : row) value = static_cast<float>(rng.normal());
      std::vector<float> expected = row;
      std::vector<float> scratch(static_cast<std::size_t>(core * power));
      reference(plan, expected.data(), scratch.data());
      transform(plan, row.data(), scratch.data());
      if (std::memcmp(row.data(), expected.data(), row.size() * sizeof(float)) != 0) return false;
    }
  return true;
}

}  // namespace quernel::kernels::hadamard
