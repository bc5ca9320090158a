// Memory for what is read again and again in long streams: anonymous, zeroed, at a 2 MB boundary, in huge pages where the system
// gives them (transparent huge pages on advice). Streams then miss the address cache 512 times less often.
//
// Errors   make: out_of_memory with the bytes wanted
// Threads  a value; distinct buffers are independent
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "base/result.h"

namespace quernel::sys {

class HugeBuffer {
 public:
  HugeBuffer() = default;  // holds nothing
  static Result<HugeBuffer> make(std::uint64_t bytes);
  ~HugeBuffer();
  HugeBuffer(HugeBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        mapped_(std::exchange(other.mapped_, 0)) {}
  HugeBuffer& operator=(HugeBuffer&& other) noexcept;

  [[nodiscard]] std::byte* data() { return data_; }
  [[nodiscard]] const std::byte* data() const { return data_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] std::span<std::byte> bytes() { return {data_, size_}; }

 private:
  std::byte* data_ = nullptr;
  std::uint64_t size_ = 0;
  std::uint64_t mapped_ = 0;
};

}  // namespace quernel::sys
