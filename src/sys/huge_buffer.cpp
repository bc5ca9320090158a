#include "sys/huge_buffer.h"

#include <fmt/format.h>
#include <sys/mman.h>

namespace quernel::sys {
namespace {

constexpr std::uint64_t kHugePage = std::uint64_t{2} << 20;

}  // namespace

Result<HugeBuffer> HugeBuffer::make(std::uint64_t bytes) {
  HugeBuffer buffer;
  if (bytes == 0) return buffer;
  const auto refused = [bytes] {
    return Error(Fault::out_of_memory, fmt::format("{} bytes of memory cannot be had", bytes));
  };
  if (bytes > (std::uint64_t{1} << 46)) return refused();
  // One page more than needed, so that a boundary lies inside; what is before and behind is given back.
  const std::uint64_t whole = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  void* raw = ::mmap(nullptr, whole + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) return refused();
  auto* start = static_cast<std::byte*>(raw);
  const std::uint64_t before = (kHugePage - reinterpret_cast<std::uintptr_t>(start) % kHugePage) % kHugePage;
  if (before > 0) ::munmap(start, before);
  if (before < kHugePage) ::munmap(start + before + whole, kHugePage - before);
  buffer.data_ = start + before;
  buffer.size_ = bytes;
  buffer.mapped_ = whole;
  ::madvise(buffer.data_, whole, MADV_HUGEPAGE);  // advice: refused where the system has none
  return buffer;
}

HugeBuffer::~HugeBuffer() {
  if (data_ != nullptr) ::munmap(data_, mapped_);
}

HugeBuffer& HugeBuffer::operator=(HugeBuffer&& other) noexcept {
  if (this == &other) return *this;
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(mapped_, other.mapped_);
  return *this;
}

}  // namespace quernel::sys
