#include "sys/cpu.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <utility>

#include "base/check.h"
#include "sys/cpu_detect.h"

namespace quernel::sys {

namespace {

constexpr std::array<std::pair<Isa, const char*>, 9> kNames{{
    {Isa::scalar, "scalar"},
    {Isa::avx2, "avx2"},
    {Isa::avx_vnni, "avx_vnni"},
    {Isa::avx512, "avx512"},
    {Isa::avx512_vnni, "avx512_vnni"},
    {Isa::avx512_bf16, "avx512_bf16"},
    {Isa::amx, "amx"},
    {Isa::neon, "neon"},
    {Isa::neon_i8mm, "neon_i8mm"},
}};

// "model name : AMD EPYC" of /proc/cpuinfo (x86); empty where there is none.
std::string model_name() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    const auto colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown CPU";
}

const Result<std::vector<Isa>>& cached_isas() {
  static const Result<std::vector<Isa>> isas = [] {
    const char* forced = std::getenv("QUERNEL_ISA");
    return limit_isas(detect_isas(), forced == nullptr ? "" : forced);
  }();
  return isas;
}

}  // namespace

const char* to_string(Isa isa) {
  for (const auto& [value, name] : kNames)
    if (value == isa) return name;
  return "?";
}

Result<Isa> parse_isa(const std::string& name) {
  std::string known;
  for (const auto& [value, candidate] : kNames) {
    if (name == candidate) return value;
    known += known.empty() ? candidate : fmt::format(", {}", candidate);
  }
  return Error(Fault::unsupported, "unknown instruction set").in_field("QUERNEL_ISA").expect(known, "'" + name + "'");
}

Result<std::vector<Isa>> limit_isas(std::vector<Isa> detected, const std::string& forced_name) {
  if (forced_name.empty()) return detected;
  QUERNEL_TRY(const Isa forced, parse_isa(forced_name));
  std::size_t first = 0;
  while (first < detected.size() && detected[first] != forced) ++first;
  if (first == detected.size())
    return Error(Fault::unsupported, "this CPU lacks the forced instruction set")
        .in_field("QUERNEL_ISA")
        .expect(fmt::format("at most {}", to_string(detected.front())), forced_name);
  detected.erase(detected.begin(), detected.begin() + static_cast<std::ptrdiff_t>(first));
  return detected;
}

Result<std::vector<Isa>> usable_isas() { return cached_isas(); }

const std::vector<Isa>& checked_isas() { return *cached_isas(); }

bool can_use(Isa isa) {
  for (const Isa usable : checked_isas())
    if (usable == isa) return true;
  return false;
}

std::string cpu_description() { return fmt::format("{} ({})", model_name(), to_string(checked_isas().front())); }

std::size_t l2_cache_bytes() {
  constexpr std::size_t kFallback = std::size_t{1} << 20;
  const long reported = ::sysconf(_SC_LEVEL2_CACHE_SIZE);
  return reported > 0 ? static_cast<std::size_t>(reported) : kFallback;
}

}  // namespace quernel::sys
