// What this machine can do at most, measured: the limits that speeds are given as shares of. Other guests of a machine take from both, so they
// belong to the run in which they were measured.
#pragma once

#include "sys/thread_pool.h"

namespace quernel::engine {

struct MachineLimits {
  double read_bytes_per_second = 0.0;  // all threads reading memory far larger than the caches; 0: not measured
  double ops_per_second = 0.0;         // all threads doing dot-product instructions alone; 0: no such instruction
};

// About half a second.
MachineLimits measure_limits(sys::ThreadPool& pool);

}  // namespace quernel::engine
