// Which kernels the integer runtime uses here. Each was checked against its reference when it was first chosen (kernels/*/self_check.h, together
// some 10 ms); one that failed is not used but named.
#pragma once

#include <string>
#include <vector>

namespace quernel::engine {

struct Kernels {
  std::vector<std::string> used;        // "packed/avx512_vnni", a family each
  std::vector<std::string> distrusted;  // faster ones that gave wrong results
};

Kernels chosen_kernels();

}  // namespace quernel::engine
