#include "kernels/int_rows/self_check.h"

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/rng.h"

namespace quernel::kernels::int_rows {
namespace {

constexpr std::int64_t kMaxSize = 200;
constexpr std::int64_t kStride = 256;

struct Part {
  std::array<std::int8_t, kStride> codes{};
  std::array<std::int32_t, kStride / 16> sums{};
  float scale = -1.0F;

  Row row() { return {codes.data(), sums.data(), &scale}; }
  bool operator==(const Part& other) const {
    return codes == other.codes && sums == other.sums && std::memcmp(&scale, &other.scale, sizeof scale) == 0;
  }
};

bool agree(const Functions& a, const Functions& b, const float* x, std::int64_t size) {
  std::array<Part, 3> of_a, of_b;
  const auto run = [&](const Functions& functions, std::array<Part, 3>& parts) {
    functions.quantize(x, size, kStride, parts[0].row());
    functions.split(x, size, kStride, parts[1].row(), parts[2].row());
  };
  run(a, of_a);
  run(b, of_b);
  return of_a == of_b;
}

}  // namespace

bool gives_reference_bits(const Functions& functions, const Functions& reference) {
  CounterRng rng(1, "self check");
  std::vector<std::vector<float>> rows(5, std::vector<float>(kMaxSize));
  for (std::vector<float>& row : rows)
    for (float& value : row) value = static_cast<float>(rng.normal());
  rows[1][3] = -1e4F;
  for (std::size_t i = 0; i < rows[2].size(); ++i) rows[2][i] = 0.5F * static_cast<float>(static_cast<int>(i) - 100);
  rows[3][0] = std::numeric_limits<float>::quiet_NaN();
  rows[4].assign(kMaxSize, 0.0F);
  for (const std::vector<float>& row : rows)
    for (const std::int64_t size : {std::int64_t{1}, std::int64_t{17}, std::int64_t{64}, std::int64_t{130}, kMaxSize})
      if (!agree(functions, reference, row.data(), size)) return false;
  return true;
}

}  // namespace quernel::kernels::int_rows
