// Refinement of a solved matrix: scales, zero points and codes move downhill in the layer's own error until a round
// changes little.
//
// Formula  L = tr(E A E^T), E = target - dequantized, A = H / mean + damp I as the solver used it. With R = E A and one
//          group g of a row, all else fixed, L is quadratic in the change d of the group's values:
//            L(d) = L - 2 d . R_g + d A_gg d^T
// Round    group after group: (a) the scale that minimises L for the codes as they are, rounded to its stored type and,
//          where asymmetric, the same beside the neighbours of the zero point; (b) search_steps scales about it, each
//          with codes from error feedback inside the group (exact measure: the sum of its squared errors); (c) passes
//          of coordinate descent: each column's best code, all others fixed. Then R moves on by one product.
//          On a two-level grid (QoQ) a scale is its row's scale times a whole number, which row scale stays: (b) tries the two
//          whole numbers to each side
// Accepts  only what lowers L: each step inside a round by its own measure; a row at the end by L computed afresh, else
//          the row keeps what it had
// Exact    a row depends on itself alone, in tiles of fixed height: the outcome does not depend on the number of
//          threads. Rows are brought near 1 by powers of two, so that neither 1e38 nor 1e-38 overflows or vanishes.
// Cost     (2 + rounds) * rows * cols^2 multiply-adds and as many again for every 2 cols / group_size trial scales;
//          memory 4 cols^2 bytes and 16 kRefineRows * cols bytes a thread
// Threads  the pool's, over row tiles
// Source   own combination of: coordinate descent on codes of LNQ (Kim et al., "GuidedQuant", ICML 2025), applied to an
//          integer grid; least squares of scales given codes; GPTQ inside a group
#pragma once

#include <cstdint>
#include <span>

#include "codec/integer_matrix.h"
#include "quant/spec.h"
#include "sys/thread_pool.h"
#include "tensor/matrix.h"

namespace quernel::quant {

constexpr std::int64_t kRefineRows = 96;  // a group of 64 columns fills 24 KB of L1; six tiles in 576 rows

// Columns group by group, in each group by falling diagonal: the order in which refine() wants A. diagonal [cols].
std::vector<std::int32_t> refine_order(const codec::IntegerMatrix& matrix, std::span<const float> diagonal);

// hessian [cols, cols]: A with rows and columns in `order`; positive definite. target [rows, cols] in natural order.
// Returns the number of rows that were improved.
std::int64_t refine(ConstMatrixView target, ConstMatrixView hessian, std::span<const std::int32_t> order,
                    const GridSpec& grid, const RefineSpec& spec, codec::IntegerMatrix& matrix, sys::ThreadPool& pool);

}  // namespace quernel::quant
