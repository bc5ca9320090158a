// What a site's linear reads, for all calibration tokens: kept from collect to advance, so that it is computed once.
//
// Layout   rows packed to the width of the site in hand; bf16 where every reader rounds to bf16 anyway, else fp32
// Exact    bf16: the products of kept rows are bit for bit those of the rows themselves (kernels/gemm_bf16 rounds alike)
// Errors   out_of_memory where the system refuses the allocation
// Threads  the pool passed in
#pragma once

#include <cstdint>

#include "base/result.h"
#include "calib/hidden_store.h"
#include "sys/thread_pool.h"
#include "tensor/matrix.h"

namespace quernel::calib {

class OutputStore {
 public:
  OutputStore() = default;  // no rows
  static Result<OutputStore> create(std::int64_t rows, std::int64_t widest, bool bf16);

  void keep(std::int64_t first_row, ConstMatrixView x, sys::ThreadPool& pool);
  void read(std::int64_t first_row, MatrixView out, sys::ThreadPool& pool) const;

 private:
  HiddenStore memory_;
  bool bf16_ = false;
};

}  // namespace quernel::calib
