#include "eval/logit_cache.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <string_view>

#include "base/checked.h"
#include "base/json.h"

static_assert(std::endian::native == std::endian::little, "files are written as memory holds them");

namespace quernel::eval {

namespace {

constexpr std::string_view kMagic = "QRNLLGT1";
constexpr std::size_t kPrefixBytes = kMagic.size() + sizeof(std::uint64_t);
constexpr std::size_t kDigestDigits = 64;
constexpr std::uint64_t kMaxHeaderBytes = 4096;
constexpr std::int64_t kMaxVocabulary = std::int64_t{1} << 24;
constexpr float kRange = 40.0F;  // e^-40 is below the resolution of a double sum
constexpr float kCodes = 65535.0F;
constexpr std::size_t kRowHeader = 2 * sizeof(float) + sizeof(std::int32_t);

Error damaged(const char* message, std::size_t offset) { return Error(Fault::corrupt, message).at(offset); }

std::string make_prefix(const CacheShape& shape) {
  Json json;
  json["key"] = shape.key;
  json["vocab_size"] = shape.vocab_size;
  json["num_rows"] = shape.num_rows;
  const std::string header = dump_json(json);
  const std::uint64_t length = header.size();
  std::array<char, sizeof(length)> length_bytes{};
  std::memcpy(length_bytes.data(), &length, sizeof(length));
  return std::string(kMagic).append(length_bytes.data(), length_bytes.size()).append(header);
}

Result<CacheShape> parse_header(std::string_view text, const std::string& path) {
  QUERNEL_TRY(const Json json, parse_json(text, path));
  CacheShape shape;
  QUERNEL_TRY(shape.key, json_string(json, "key"));
  QUERNEL_TRY(shape.vocab_size, json_int(json, "vocab_size"));
  QUERNEL_TRY(shape.num_rows, json_int(json, "num_rows"));
  return shape;
}

}  // namespace

std::int64_t stored_row_bytes(std::int64_t vocab_size) {
  return static_cast<std::int64_t>(kRowHeader) + vocab_size * static_cast<std::int64_t>(sizeof(std::uint16_t));
}

std::int32_t argmax_of(std::span<const float> logits) {
  return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

void encode_row(std::span<const float> logits, std::span<std::byte> out) {
  QUERNEL_CHECK(!logits.empty() &&
                static_cast<std::int64_t>(out.size()) == stored_row_bytes(static_cast<std::int64_t>(logits.size())));
  const auto [smallest, largest] = std::minmax_element(logits.begin(), logits.end());
  const float lowest = std::max(*smallest, *largest - kRange);
  const float step = (*largest - lowest) / kCodes;
  const float inverse = step > 0.0F ? 1.0F / step : 0.0F;
  const std::int32_t argmax = argmax_of(logits);
  std::memcpy(out.data(), &lowest, sizeof(lowest));
  std::memcpy(out.data() + sizeof(float), &step, sizeof(step));
  std::memcpy(out.data() + 2 * sizeof(float), &argmax, sizeof(argmax));
  std::byte* codes = out.data() + kRowHeader;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const float scaled = std::clamp((logits[i] - lowest) * inverse, 0.0F, kCodes);
    const auto code = static_cast<std::uint16_t>(scaled + 0.5F);
    std::memcpy(codes + i * sizeof(code), &code, sizeof(code));
  }
}

StoredRow decode_row(std::span<const std::byte> row, std::span<float> logits) {
  QUERNEL_CHECK(static_cast<std::int64_t>(row.size()) == stored_row_bytes(static_cast<std::int64_t>(logits.size())));
  StoredRow header;
  float lowest = 0.0F;
  std::memcpy(&lowest, row.data(), sizeof(lowest));
  std::memcpy(&header.step, row.data() + sizeof(float), sizeof(header.step));
  std::memcpy(&header.argmax, row.data() + 2 * sizeof(float), sizeof(header.argmax));
  const std::byte* codes = row.data() + kRowHeader;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    std::uint16_t code = 0;
    std::memcpy(&code, codes + i * sizeof(code), sizeof(code));
    logits[i] = lowest + static_cast<float>(code) * header.step;
  }
  return header;
}

LogitCacheWriter::LogitCacheWriter(sys::AtomicFile file, std::uint64_t expected_bytes)
    : file_(std::move(file)), rows_bytes_left_(expected_bytes) {}

Result<LogitCacheWriter> LogitCacheWriter::create(const std::string& path, const CacheShape& shape) {
  QUERNEL_CHECK(shape.vocab_size > 0 && shape.vocab_size <= kMaxVocabulary && shape.num_rows > 0);
  const std::string prefix = make_prefix(shape);
  const auto row_bytes = static_cast<std::uint64_t>(stored_row_bytes(shape.vocab_size));
  const auto rows_bytes = checked_mul(row_bytes, static_cast<std::uint64_t>(shape.num_rows));
  if (!rows_bytes) return Error(Fault::limit_exceeded, "cached logits do not fit a file");
  QUERNEL_TRY(sys::AtomicFile file, sys::AtomicFile::create(path, prefix.size() + *rows_bytes + kDigestDigits));
  LogitCacheWriter writer(std::move(file), *rows_bytes);
  writer.hash_.update(prefix);
  QUERNEL_TRY_STATUS(writer.file_.write(prefix));
  return writer;
}

Status LogitCacheWriter::append(std::span<const std::byte> rows) {
  QUERNEL_CHECK(rows.size() <= rows_bytes_left_, "more rows than announced");
  rows_bytes_left_ -= rows.size();
  hash_.update(rows);
  return file_.write(rows);
}

Status LogitCacheWriter::commit() {
  QUERNEL_CHECK(rows_bytes_left_ == 0, "{} bytes of rows are missing", rows_bytes_left_);
  QUERNEL_TRY_STATUS(file_.write(hash_.finish_hex()));
  return file_.commit();
}

Result<LogitCacheReader> LogitCacheReader::open(const std::string& path, const std::string& key,
                                                std::int64_t num_rows) {
  LogitCacheReader reader;
  QUERNEL_TRY(reader.file_, sys::MappedFile::open(path, sys::Access::sequential));
  const std::span<const std::byte> bytes = reader.file_.bytes();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.size() < kPrefixBytes || !text.starts_with(kMagic)) return damaged("not a cache of logits", 0).in_file(path);
  std::uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data() + kMagic.size(), sizeof(header_bytes));
  if (header_bytes > kMaxHeaderBytes || header_bytes > text.size() - kPrefixBytes) {
    return damaged("header length of a cache of logits", kMagic.size()).in_file(path);
  }
  Result<CacheShape> header = parse_header(text.substr(kPrefixBytes, header_bytes), path);
  if (!header.ok()) {
    Error error = std::move(header).error();
    error.fault = Fault::corrupt;
    return std::move(error).in_file(path);
  }
  if (header->key != key || header->num_rows != num_rows || header->vocab_size < 1 ||
      header->vocab_size > kMaxVocabulary) {
    return damaged("header of a cache of logits", kPrefixBytes).in_file(path).expect(key, header->key);
  }
  reader.vocab_size_ = header->vocab_size;
  reader.num_rows_ = header->num_rows;
  reader.rows_at_ = kPrefixBytes + header_bytes;
  const auto rows_bytes = checked_mul(stored_row_bytes(reader.vocab_size_), num_rows);
  const std::size_t after_header = bytes.size() - reader.rows_at_;
  if (!rows_bytes || after_header < kDigestDigits ||
      after_header - kDigestDigits != static_cast<std::size_t>(*rows_bytes)) {
    return damaged("length of a cache of logits", bytes.size()).in_file(path);
  }
  const std::size_t hashed = bytes.size() - kDigestDigits;
  if (sha256_hex(bytes.first(hashed)) != text.substr(hashed))
    return damaged("checksum of a cache of logits", hashed).in_file(path);
  return reader;
}

std::span<const std::byte> LogitCacheReader::row(std::int64_t index) const {
  QUERNEL_CHECK(index >= 0 && index < num_rows_, "row {} of {}", index, num_rows_);
  const auto bytes = static_cast<std::size_t>(stored_row_bytes(vocab_size_));
  return file_.bytes().subspan(rows_at_ + static_cast<std::size_t>(index) * bytes, bytes);
}

}  // namespace quernel::eval
