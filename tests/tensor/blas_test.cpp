#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "sys/cpu.h"
#include "tensor/linalg.h"

namespace quernel {
namespace {

TEST(Blas, LoadsAndNamesItself) {
  ASSERT_TRUE(blas_available().ok()) << to_string(blas_available().error());
  EXPECT_EQ(blas_description().find("OpenBLAS 0."), 0u) << blas_description();
}

TEST(Blas, CoreFollowsTheInstructionSet) {
  if (std::getenv("QUERNEL_BLAS_CORE") != nullptr) GTEST_SKIP() << "QUERNEL_BLAS_CORE is set";
  const std::string description = blas_description();
  if (!sys::can_use(sys::Isa::avx2)) GTEST_SKIP() << "no level that we choose a core for: " << description;
  const char* core = sys::can_use(sys::Isa::avx512) ? "SkylakeX" : "Haswell";
  EXPECT_NE(description.find(core), std::string::npos) << description;
}

TEST(Blas, LeavesTheEnvironmentAsItWas) {
  ::setenv("OPENBLAS_NUM_THREADS", "7", 1);
  ASSERT_TRUE(blas_available().ok());
  EXPECT_STREQ(std::getenv("OPENBLAS_NUM_THREADS"), "7");
  ::unsetenv("OPENBLAS_NUM_THREADS");
}

}  // namespace
}  // namespace quernel
