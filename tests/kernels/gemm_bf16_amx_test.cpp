// The AMX block of gemm_bf16, compiled against emulated tiles: proves packing order, tile numbers, borders and sums along k on
// any CPU. Only the five instructions themselves stay unproved without AMX.
#include <gtest/gtest.h>

#include "kernels/amx_emulation.h"
// The block needs the tile operations above.
#include "kernels/gemm_bf16/amx_block.h"
#include "kernels/gemm_bf16_problem.h"

namespace quernel::kernels::gemm_bf16 {
namespace {

Functions emulated() {
  Functions functions = variants().back().functions;  // packs of the reference
  functions.block = amx_block;
  return functions;
}

TEST(AmxBlock, GemmMatchesTheDefinition) {
  sys::ThreadPool pool(2);
  for (std::int64_t m = 1; m <= 70; m += 3) check_gemm_nt(emulated(), m, 71 - m, 1 + m * 13 % 90, m % 2 == 0, pool);
  for (const std::int64_t n : {15, 16, 17, 31, 32, 33, 48, 64}) check_gemm_nt(emulated(), n, n, 64, true, pool);
  check_gemm_nt(emulated(), 40, 200, 500, false, pool);  // two cuts along k
}

TEST(AmxBlock, SumsOverRowsMatchTheDefinition) {
  sys::ThreadPool pool(2);
  for (const std::int64_t n : {1, 15, 16, 17, 33, 100}) check_syrk(emulated(), 45, n, pool);
  check_syrk(emulated(), 1600, 18, pool);
  check_gemm_tn(emulated(), 70, 33, 50, pool);
}

TEST(AmxBlock, EveryBorder) {
  sys::ThreadPool pool(1);
  for (std::int64_t m = 1; m <= 34; ++m)
    for (const std::int64_t n : {1, 16, 18, 33}) check_gemm_nt(emulated(), m, n, 33, m % 2 == 1, pool);
}

}  // namespace
}  // namespace quernel::kernels::gemm_bf16
