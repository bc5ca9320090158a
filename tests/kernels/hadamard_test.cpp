#include "kernels/hadamard/hadamard.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/hadamard/table.h"
#include "kernels/kernel_test.h"
#include "tensor/hadamard.h"

namespace quernel::kernels::hadamard {
namespace {

// Sizes with and without a core, of one block and of many, with powers below and above a register.
TEST(HadamardKernel, EveryVariantGivesTheBitsOfTheMatrixWing) {
  for (const std::int64_t size :
       {1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 576, 640, 1536, 2048, 5632, 36 * 7}) {
    const Hadamard transform(size);
    const std::vector<float> signs(transform.core_signs().begin(), transform.core_signs().end());
    const auto block = static_cast<float>(transform.block_size());
    const Plan plan{size / transform.block_size(), transform.core_size(), transform.power(), signs.data(),
                    1.0F / std::sqrt(block)};
    const std::vector<float> x = normal_values(size, "row", 10.0);
    std::vector<float> expected = x;
    transform.apply(MatrixView{expected.data(), 1, size});
    for (const Variant& variant : variants()) {
      if (!sys::can_use(variant.isa)) continue;
      std::vector<float> row = x;
      std::vector<float> scratch(static_cast<std::size_t>(transform.block_size()));
      variant.transform(plan, row.data(), scratch.data());
      EXPECT_TRUE(same_bits(row, expected)) << variant.name << " " << size;
    }
  }
}

}  // namespace
}  // namespace quernel::kernels::hadamard
