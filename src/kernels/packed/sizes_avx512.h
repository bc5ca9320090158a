// What the bodies of packed take at once where registers hold 16 outputs and there are 32 of them (body_few.h, body_many.h).
#pragma once

#include <cstdint>

namespace quernel::kernels::packed {
namespace {
constexpr int kMaxRows = 8;
constexpr int kMaxSums = 16;
constexpr std::int64_t kPanelsAtOnce = 4;
constexpr int kOneSumColumns = 4;  // 6 rows: 24 sums, 4 registers of codes, one of activations
constexpr int kTwoSumColumns = 2;
}  // namespace
}  // namespace quernel::kernels::packed
