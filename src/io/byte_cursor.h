// A file in memory read from front to back; every read says whether the bytes are there.
//
// Layout   little-endian numbers; strings are a u64 length and that many bytes
// Errors   corrupt with the offset where the missing part begins; limit_exceeded
// Threads  a cursor belongs to one thread; bytes and file name outlive it
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace quernel::io {

class ByteCursor {
 public:
  ByteCursor(std::span<const std::byte> file, const std::string& file_name) : file_(file), file_name_(file_name) {}

  template <class T>
  Result<T> read(const char* what) {
    QUERNEL_TRY(const auto bytes, take(sizeof(T), what));
    T value;
    std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
  }

  Result<std::span<const std::byte>> take(std::uint64_t size, const char* what) {
    if (size > remaining()) {
      return Error(Fault::corrupt, fmt::format("file ends inside {}", what))
          .in_file(file_name_)
          .at(position_)
          .expect(fmt::format("{} bytes", size), fmt::format("{}", remaining()));
    }
    const auto bytes = file_.subspan(position_, static_cast<std::size_t>(size));
    position_ += bytes.size();
    return bytes;
  }

  // A string: u64 length and that many bytes.
  Result<std::string_view> text(std::uint64_t maximum, const char* what) {
    const std::uint64_t begin = position_;
    QUERNEL_TRY(const auto length, read<std::uint64_t>(what));
    if (length > remaining()) {
      return Error(Fault::corrupt, fmt::format("file ends inside {}", what))
          .in_file(file_name_)
          .at(begin)
          .expect(fmt::format("{} bytes", length), fmt::format("{}", remaining()));
    }
    if (length > maximum) {
      return Error(Fault::limit_exceeded, fmt::format("{} is too long", what))
          .in_file(file_name_)
          .at(begin)
          .expect(fmt::format("at most {} bytes", maximum), fmt::format("{}", length));
    }
    QUERNEL_TRY(const auto bytes, take(length, what));
    return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }

  [[nodiscard]] std::uint64_t position() const { return position_; }
  [[nodiscard]] std::uint64_t remaining() const { return file_.size() - position_; }
  [[nodiscard]] std::span<const std::byte> since(std::uint64_t begin) const {
    return file_.subspan(static_cast<std::size_t>(begin), position_ - static_cast<std::size_t>(begin));
  }
  [[nodiscard]] Error error(Fault fault, std::string message, std::uint64_t offset) const {
    return Error(fault, std::move(message)).in_file(file_name_).at(offset);
  }

 private:
  std::span<const std::byte> file_;
  const std::string& file_name_;
  std::size_t position_ = 0;
};

}  // namespace quernel::io
