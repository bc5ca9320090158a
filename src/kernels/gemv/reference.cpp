// Plain C++ in the order of sums that gemv.h states, with a rounding after each product. Sixteen independent sums, so that a
// compiler may use the vectors that every CPU of the architecture has.
#include <bit>

#include "kernels/gemv/entries.h"

namespace quernel::kernels::gemv::reference {

namespace {

constexpr std::int64_t kLanes = 16;

float widen(float value) { return value; }
float widen(std::uint16_t bf16) { return std::bit_cast<float>(std::uint32_t{bf16} << 16); }

template <class Weight>
float dot(const Weight* weight, const float* x, std::int64_t size) {
  float sums[kLanes] = {};
  std::int64_t k = 0;
  for (; k + kLanes <= size; k += kLanes)
    for (std::int64_t lane = 0; lane < kLanes; ++lane) sums[lane] += widen(weight[k + lane]) * x[k + lane];
  for (std::int64_t lane = 0; k + lane < size; ++lane) sums[lane] += widen(weight[k + lane]) * x[k + lane];
  for (std::int64_t width = kLanes / 2; width > 0; width /= 2)
    for (std::int64_t lane = 0; lane < width; ++lane) sums[lane] += sums[lane + width];
  return sums[0];
}

template <class Weight>
void run(const Args<Weight>& args) {
  for (std::int64_t row = 0; row < args.num_rows; ++row)
    for (std::int64_t vector = 0; vector < args.num_vectors; ++vector)
      args.out[vector * args.out_stride + row] =
          dot(args.weight + row * args.weight_stride, args.x + vector * args.x_stride, args.num_cols);
}

}  // namespace

void run_f32(const ArgsF32& args) noexcept { run(args); }
void run_bf16(const ArgsBf16& args) noexcept { run(args); }

}  // namespace quernel::kernels::gemv::reference
