// Memory: what the process uses, and a budget that refuses before the work begins.
//
// Units    bytes
// Threads  MemoryBudget may be used from any thread
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "base/result.h"

namespace quernel::sys {

std::uint64_t resident_bytes();       // now
std::uint64_t peak_resident_bytes();  // highest since the process began
// Gives memory that the allocator holds free back to the system, between phases of a job that need much; a no-op where the C
// library cannot.
void trim_free_memory();
std::uint64_t available_bytes();  // what the system (or its cgroup) still has

// Free for this user on the file system that holds the path (or its nearest parent that exists); 0 where it cannot be told.
std::uint64_t free_disk_bytes(const std::string& path);

// A ceiling that parts of a job reserve from before they allocate. Mapped files are not counted: the system may drop
// their pages at any time.
class MemoryBudget {
 public:
  explicit MemoryBudget(std::uint64_t ceiling_bytes) : ceiling_(ceiling_bytes) {}  // 0: no ceiling

  // Fails with out_of_memory, naming what, the bytes wanted, the bytes free and the ceiling that would do.
  Status reserve(const std::string& what, std::uint64_t bytes);
  void release(std::uint64_t bytes);

  [[nodiscard]] std::uint64_t ceiling_bytes() const { return ceiling_; }
  [[nodiscard]] std::uint64_t reserved_bytes() const { return reserved_.load(); }
  [[nodiscard]] std::uint64_t peak_reserved_bytes() const { return peak_.load(); }

 private:
  std::uint64_t ceiling_;
  std::atomic<std::uint64_t> reserved_{0};
  std::atomic<std::uint64_t> peak_{0};
};

// "16G", "512M", "1.5GiB", "4096": bytes, binary multiples.
Result<std::uint64_t> parse_bytes(const std::string& text);
std::string format_bytes(std::uint64_t bytes);  // "98.4 MB", decimal multiples as disks and models are named

}  // namespace quernel::sys
