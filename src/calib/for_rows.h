// Row by row over the pool, in blocks of fixed size.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/checked.h"
#include "sys/thread_pool.h"

namespace quernel::calib {

template <class Work>
void for_rows(std::int64_t rows, sys::ThreadPool& pool, const Work& work) {
  constexpr std::int64_t kRowsPerTask = 128;
  pool.parallel_for(ceil_div(rows, kRowsPerTask), [&](std::int64_t task) {
    for (std::int64_t row = task * kRowsPerTask; row < std::min(rows, (task + 1) * kRowsPerTask); ++row) work(row);
  });
}

}  // namespace quernel::calib
