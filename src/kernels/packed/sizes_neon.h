// What the bodies of packed take at once on NEON, where eight outputs are two of 32 registers (body_few.h, body_many.h).
#pragma once

#include <cstdint>

namespace quernel::kernels::packed {
namespace {
constexpr int kMaxRows = 4;
constexpr int kMaxSums = 8;
constexpr std::int64_t kPanelsAtOnce = 1;  // 32 KB at 2,048 inputs
constexpr int kOneSumColumns = 2;          // 6 rows: 24 registers of sums, 4 of codes, one of activations
constexpr int kTwoSumColumns = 2;          // the second sums wait in memory
}  // namespace
}  // namespace quernel::kernels::packed
