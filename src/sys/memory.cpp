#include "sys/memory.h"

#include <fmt/format.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif
#include <unistd.h>

#include <cctype>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string_view>

namespace quernel::sys {

namespace {

// "VmRSS:     1234 kB" of /proc/self/status or /proc/meminfo, in bytes; 0 where the field is absent.
std::uint64_t proc_field(const char* path, const std::string& field) {
  std::ifstream file(path);
  std::string name;
  while (file >> name) {
    std::uint64_t kibibytes = 0;
    if (name == field + ":" && file >> kibibytes) return kibibytes * 1024;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return 0;
}

// Bytes that the cgroup still allows; the largest number where there is no limit.
std::uint64_t cgroup_available() {
  constexpr std::uint64_t kNone = std::numeric_limits<std::uint64_t>::max();
  const auto read = [](const char* path) {
    std::ifstream file(path);
    std::uint64_t value = 0;
    return file >> value ? value : kNone;
  };
  const std::uint64_t limit =
      std::min(read("/sys/fs/cgroup/memory.max"), read("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
  const std::uint64_t used =
      std::min(read("/sys/fs/cgroup/memory.current"), read("/sys/fs/cgroup/memory/memory.usage_in_bytes"));
  if (limit == kNone || used == kNone || used > limit) return kNone;
  return limit - used;
}

}  // namespace

void trim_free_memory() {
#if defined(__GLIBC__)
  ::malloc_trim(0);
#endif
}

std::uint64_t resident_bytes() { return proc_field("/proc/self/status", "VmRSS"); }
std::uint64_t peak_resident_bytes() { return proc_field("/proc/self/status", "VmHWM"); }
std::uint64_t available_bytes() { return std::min(proc_field("/proc/meminfo", "MemAvailable"), cgroup_available()); }

std::uint64_t free_disk_bytes(const std::string& path) {
  std::error_code failure;
  std::filesystem::path place = std::filesystem::absolute(path, failure);
  while (!std::filesystem::exists(place, failure) && place.has_relative_path()) place = place.parent_path();
  const std::filesystem::space_info space = std::filesystem::space(place, failure);
  return failure ? 0 : space.available;
}

Status MemoryBudget::reserve(const std::string& what, std::uint64_t bytes) {
  const std::uint64_t before = reserved_.fetch_add(bytes);
  const std::uint64_t now = before + bytes;
  if (ceiling_ != 0 && now > ceiling_) {
    reserved_.fetch_sub(bytes);
    Error error(Fault::out_of_memory, fmt::format("{} needs {}", what, format_bytes(bytes)));
    return std::move(error)
        .expect(fmt::format("at most {} free under the ceiling of {}",
                            format_bytes(ceiling_ - std::min(before, ceiling_)), format_bytes(ceiling_)),
                format_bytes(bytes))
        .with_hint(fmt::format("--max-memory {}M would do", now / 1'048'576 + 1));
  }
  std::uint64_t peak = peak_.load();
  while (now > peak && !peak_.compare_exchange_weak(peak, now)) {
  }
  return {};
}

void MemoryBudget::release(std::uint64_t bytes) { reserved_.fetch_sub(bytes); }

Result<std::uint64_t> parse_bytes(const std::string& text) {
  double value = 0;
  const char* begin = text.data();
  const char* end = begin + text.size();
  const auto [rest, failure] = std::from_chars(begin, end, value);
  std::string unit(rest, end);
  for (char& letter : unit) letter = static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
  for (const std::string_view suffix : {"IB", "B"})
    if (unit.size() == suffix.size() + 1 && unit.ends_with(suffix)) unit.resize(1);  // GiB, GB: G
  constexpr std::string_view kUnits = "BKMGT";
  const auto index = unit.empty() ? 0 : unit.size() == 1 ? kUnits.find(unit) : std::string_view::npos;
  const double factor = index == std::string_view::npos ? -1 : std::pow(1024.0, static_cast<double>(index));
  const double bytes = value * factor;
  if (failure != std::errc() || factor < 0 || !(bytes >= 0) || bytes > 0x1p62)
    return Error(Fault::usage, "not a size").expect("a number with K, M, G or T, as 16G", "'" + text + "'");
  return static_cast<std::uint64_t>(bytes);
}

std::string format_bytes(std::uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.{}f} {}", value, value < 99.95 ? 1 : 0, kUnits[unit]);
}

}  // namespace quernel::sys
