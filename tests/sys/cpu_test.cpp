#include "sys/cpu.h"

#include <gtest/gtest.h>

#include "sys/cpu_detect.h"

namespace quernel::sys {
namespace {

TEST(Cpu, ScalarIsAlwaysLast) {
  const auto isas = detect_isas();
  ASSERT_FALSE(isas.empty());
  EXPECT_EQ(isas.back(), Isa::scalar);
}

TEST(Cpu, NamesRoundTrip) {
  for (const Isa isa : {Isa::scalar, Isa::avx2, Isa::avx_vnni, Isa::avx512, Isa::avx512_vnni, Isa::avx512_bf16,
                        Isa::amx, Isa::neon, Isa::neon_i8mm})
    EXPECT_EQ(*parse_isa(to_string(isa)), isa);
  EXPECT_EQ(parse_isa("sse9").error().fault, Fault::unsupported);
}

TEST(Cpu, OverrideDropsWhatIsAboveAndFailsWhatIsMissing) {
  const std::vector<Isa> detected{Isa::avx512, Isa::avx2, Isa::scalar};
  EXPECT_EQ(*limit_isas(detected, ""), detected);
  EXPECT_EQ(*limit_isas(detected, "avx2"), (std::vector<Isa>{Isa::avx2, Isa::scalar}));
  EXPECT_EQ(limit_isas(detected, "amx").error().fault, Fault::unsupported);
  EXPECT_EQ(limit_isas(detected, "AVX2").error().fault, Fault::unsupported);
}

}  // namespace
}  // namespace quernel::sys
