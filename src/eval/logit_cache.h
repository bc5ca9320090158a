// Logits of a reference model on disk, 16 bits each, so that many models can be compared with it for the price of one
// run.
//
// Layout   "QRNLLGT1"; u64 length of the header; header (JSON: key, vocab_size, num_rows); rows; 64 hexadecimal digits:
//          SHA-256 of everything before. A row: float32 lowest, float32 step, int32 argmax, vocab_size codes u16. All
//          little-endian
// Formula  logit = lowest + code * step; lowest = max(smallest, largest - kRange), step = (largest - lowest) / 65535
// Error    half a step: at most 3.1e-4 nats a logit; logits more than kRange below the largest are raised to it (their
//          probability is below e^-40 either way). argmax is that of the exact row.
// Errors   as sys/atomic_file.h and sys/mapped_file.h; corrupt: magic, sizes, key, checksum
// Threads  encode and decode: pure functions; files: one thread at a time
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "base/sha256.h"
#include "sys/atomic_file.h"
#include "sys/mapped_file.h"

namespace quernel::eval {

struct StoredRow {
  float step = 0.0F;
  std::int32_t argmax = 0;
};

std::int64_t stored_row_bytes(std::int64_t vocab_size);
// logits are finite; out has stored_row_bytes.
void encode_row(std::span<const float> logits, std::span<std::byte> out);
StoredRow decode_row(std::span<const std::byte> row, std::span<float> logits);
std::int32_t argmax_of(std::span<const float> logits);  // the lowest index wins a tie

struct CacheShape {
  std::string key;  // what the rows are: reference, tokens, positions
  std::int64_t vocab_size = 0;
  std::int64_t num_rows = 0;
};

class LogitCacheWriter {
 public:
  static Result<LogitCacheWriter> create(const std::string& path, const CacheShape& shape);
  Status append(std::span<const std::byte> rows);  // in order
  Status commit();                                 // after num_rows rows

 private:
  LogitCacheWriter(sys::AtomicFile file, std::uint64_t expected_bytes);
  sys::AtomicFile file_;
  Sha256 hash_;
  std::uint64_t rows_bytes_left_;
};

class LogitCacheReader {
 public:
  // not_found where there is no such file; corrupt where it is not whole or holds something else. Reads the file once
  // to check it. The caller compares vocab_size() with its own.
  static Result<LogitCacheReader> open(const std::string& path, const std::string& key, std::int64_t num_rows);

  [[nodiscard]] std::int64_t vocab_size() const { return vocab_size_; }
  [[nodiscard]] std::span<const std::byte> row(std::int64_t index) const;

 private:
  sys::MappedFile file_;
  std::int64_t vocab_size_ = 0;
  std::int64_t num_rows_ = 0;
  std::size_t rows_at_ = 0;
};

}  // namespace quernel::eval
