// QUERNEL_ISA decides which variant runs: each level is forced in a child process, which reports what it picked.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>

#include "kernels/attention_float/table.h"
#include "kernels/gemm_bf16/products.h"
#include "kernels/gemm_bf16/table.h"
#include "kernels/gemv/table.h"
#include "kernels/rowwise/table.h"
#include "sys/cpu.h"

namespace quernel::kernels {
namespace {

std::string picks() {
  return std::string(gemv::pick().name) + " " + rowwise::pick().name + " " + attention_float::pick().name + " " +
         gemm_bf16::pick().name + (gemm_bf16::fast_bf16() ? " fast" : "");
}

TEST(SelectionChild, DISABLED_PrintsItsPicks) { std::printf("picks: %s\n", picks().c_str()); }

std::string picks_with(const std::string& isa) {
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  const std::string command = "QUERNEL_ISA=" + isa + " '" + program +
                              "' --gtest_also_run_disabled_tests --gtest_filter='SelectionChild.*' 2>&1";
  std::FILE* output = ::popen(command.c_str(), "r");
  std::string text;
  std::array<char, 4096> buffer{};
  while (output != nullptr && std::fgets(buffer.data(), buffer.size(), output) != nullptr) text += buffer.data();
  if (output != nullptr) ::pclose(output);
  const std::size_t start = text.find("picks: ");
  if (start == std::string::npos) return text;
  return text.substr(start + 7, text.find('\n', start) - start - 7);
}

const std::map<std::string, std::string>& expected_picks() {
  static const std::map<std::string, std::string> expected{
      {"scalar", "gemv/reference rowwise/reference attention_float/reference gemm_bf16/reference"},
      {"avx2", "gemv/avx2 rowwise/avx2 attention_float/avx2 gemm_bf16/reference"},
      {"avx512", "gemv/avx512 rowwise/avx512 attention_float/avx512 gemm_bf16/reference"},
      {"avx512_bf16", "gemv/avx512 rowwise/avx512 attention_float/avx512 gemm_bf16/avx512_bf16"},
      {"amx", "gemv/avx512 rowwise/avx512 attention_float/avx512 gemm_bf16/amx fast"},
  };
  return expected;
}

TEST(Selection, TheForcedLevelIsTheOneThatRuns) {
  int proved = 0;
  for (const auto& [name, expected] : expected_picks()) {
    if (!sys::can_use(*sys::parse_isa(name))) continue;
    EXPECT_EQ(picks_with(name).find(expected), 0u) << name << ": " << picks_with(name);
    ++proved;
  }
  EXPECT_GE(proved, 1);
}

TEST(Selection, WithoutForceTheBestLevelRuns) {
  const std::string best = sys::to_string(sys::checked_isas().front());
  if (!expected_picks().contains(best)) GTEST_SKIP() << "no row for " << best;
  EXPECT_EQ(picks().find(expected_picks().at(best)), 0u) << picks();
}

TEST(Selection, TablesEndWithTheReference) {
  EXPECT_EQ(gemv::variants().back().isa, sys::Isa::scalar);
  EXPECT_EQ(rowwise::variants().back().isa, sys::Isa::scalar);
  EXPECT_EQ(attention_float::variants().back().isa, sys::Isa::scalar);
  EXPECT_EQ(gemm_bf16::variants().back().isa, sys::Isa::scalar);
}

}  // namespace
}  // namespace quernel::kernels
