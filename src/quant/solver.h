// Error feedback: rounds the columns of a matrix one after the other and lets the columns not yet visited make up for
// the error of each. GPTQ, LDLQ and Babai's nearest plane are this one loop; the grid is a parameter.
//
// Formula  for position j, in the order of the prepared Hessian with factor U:
//            q_j = grid(w_j),  e_j = (w_j - q_j) / U_jj,  w_k -= e_j U_jk for every k > j
// Blocks   columns are taken solver.block_size at a time; all earlier errors reach a block by one GEMM when it begins
//          (looking left, so the weights are read once and never written), errors inside it column by column in cache
// Exact    every row is solved on its own in tiles of fixed height: the outcome does not depend on the number of
//          threads
// Threads  the pool's, over row tiles
// Cost     rows * cols^2 flops; memory 4 kTileRows * (cols + 2 widest block) bytes a thread
// Source   Frantar et al., "GPTQ", ICLR 2023; Chee et al., "QuIP", NeurIPS 2023 (the equality with LDLQ)
#pragma once

#include "base/result.h"
#include "quant/grid.h"
#include "quant/prepared_hessian.h"
#include "sys/thread_pool.h"
#include "tensor/matrix.h"

namespace quernel::quant {

constexpr std::int64_t kTileRows = 48;  // three AVX-512 registers of rows; a block of 128 columns fills 24 KB of L1

// Rounds weight [rows, cols] onto the grid. `prepared` holds a factor. False where compensation left the range of float
// in some row: the grid's codes are then worth nothing and the caller falls back.
bool solve(ConstMatrixView weight, const PreparedHessian& prepared, Grid& grid, sys::ThreadPool& pool);

}  // namespace quernel::quant
