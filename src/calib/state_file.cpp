#include "calib/state_file.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <span>
#include <string_view>

#include "base/json.h"
#include "base/sha256.h"
#include "sys/atomic_file.h"
#include "sys/mapped_file.h"

static_assert(std::endian::native == std::endian::little, "files are written as memory holds them");

namespace quernel::calib {

namespace {

constexpr std::string_view kMagic = "QRNLHID1";
constexpr std::size_t kDigestDigits = 64;
constexpr std::size_t kMaxHeaderBytes = 4096;
constexpr std::int64_t kRowsAtOnce = 1024;  // a few MB: spilled rows need not be resident together

std::string header_json(const StateHeader& header) {
  Json json;
  json["layer"] = header.layer;
  json["rows"] = header.rows;
  json["width"] = header.width;
  json["length"] = header.length;
  json["samples_sha256"] = header.samples_sha256;
  json["precision"] = header.precision;
  return dump_json(json);
}

Result<StateHeader> parse_header(std::string_view text, const std::string& path) {
  QUERNEL_TRY(const Json json, parse_json(text, path));
  StateHeader header;
  QUERNEL_TRY(header.layer, json_int(json, "layer"));
  QUERNEL_TRY(header.rows, json_int(json, "rows"));
  QUERNEL_TRY(header.width, json_int(json, "width"));
  QUERNEL_TRY(header.length, json_int(json, "length"));
  QUERNEL_TRY(header.samples_sha256, json_string(json, "samples_sha256"));
  QUERNEL_TRY(header.precision, json_string(json, "precision"));
  return header;
}

Status differs(const char* field, const std::string& expected, const std::string& found) {
  if (expected == found) return ok_status();
  Error error(Fault::incompatible_state, "calibration state belongs to another job");
  return std::move(error).in_field(field).expect(expected, found).with_hint("start again without --resume");
}

Status compare(const StateHeader& expected, const StateHeader& found) {
  QUERNEL_TRY_STATUS(differs("rows", std::to_string(expected.rows), std::to_string(found.rows)));
  QUERNEL_TRY_STATUS(differs("width", std::to_string(expected.width), std::to_string(found.width)));
  QUERNEL_TRY_STATUS(differs("length", std::to_string(expected.length), std::to_string(found.length)));
  QUERNEL_TRY_STATUS(differs("samples_sha256", expected.samples_sha256, found.samples_sha256));
  return differs("precision", expected.precision, found.precision);
}

Error damaged(const char* message, std::size_t offset) { return Error(Fault::corrupt, message).at(offset); }

// Where things are in a file whose sizes agree with each other.
struct Parts {
  StateHeader header;
  std::span<const std::byte> payload;
  std::span<const std::byte> hashed;
  std::string_view digest;
};

Result<Parts> split(std::span<const std::byte> bytes, const StateHeader& expected, const std::string& path) {
  constexpr std::size_t kPrefix = kMagic.size() + sizeof(std::uint64_t);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.size() < kPrefix || !text.starts_with(kMagic)) return damaged("not a calibration state file", 0);
  std::uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data() + kMagic.size(), sizeof(header_bytes));
  if (header_bytes > kMaxHeaderBytes || header_bytes > text.size() - kPrefix) {
    return damaged("header length of a calibration state file", kMagic.size());
  }
  Parts parts;
  Result<StateHeader> header = parse_header(text.substr(kPrefix, header_bytes), path);
  if (!header.ok()) {
    Error error = std::move(header).error();
    error.fault = Fault::corrupt;
    return error;
  }
  parts.header = *header;
  QUERNEL_TRY_STATUS(compare(expected, parts.header));
  const std::size_t payload_at = kPrefix + header_bytes;
  const std::size_t payload_bytes =
      static_cast<std::size_t>(expected.rows) * static_cast<std::size_t>(expected.width) * sizeof(float);
  if (bytes.size() - payload_at != payload_bytes + kDigestDigits) {
    return damaged("calibration state file has the wrong length", bytes.size())
        .expect(fmt::format("{} bytes", payload_at + payload_bytes + kDigestDigits),
                fmt::format("{} bytes", bytes.size()));
  }
  parts.payload = bytes.subspan(payload_at, payload_bytes);
  parts.hashed = bytes.first(payload_at + payload_bytes);
  parts.digest = text.substr(payload_at + payload_bytes);
  return parts;
}

}  // namespace

Status save_state(const std::string& path, const StateHeader& header, const HiddenStore& hidden) {
  QUERNEL_CHECK(hidden.rows() == header.rows && hidden.width() == header.width);
  const std::string json = header_json(header);
  std::string prefix(kMagic);
  const std::uint64_t length = json.size();
  std::array<char, sizeof(length)> length_bytes{};
  std::memcpy(length_bytes.data(), &length, sizeof(length));
  prefix.append(length_bytes.data(), length_bytes.size()).append(json);
  const std::size_t payload_bytes =
      static_cast<std::size_t>(header.rows) * static_cast<std::size_t>(header.width) * sizeof(float);
  QUERNEL_TRY(sys::AtomicFile file, sys::AtomicFile::create(path, prefix.size() + payload_bytes + kDigestDigits));
  Sha256 hash;
  hash.update(prefix);
  QUERNEL_TRY_STATUS(file.write(prefix));
  for (std::int64_t row = 0; row < header.rows; row += kRowsAtOnce) {
    const std::int64_t rows = std::min(kRowsAtOnce, header.rows - row);
    const MatrixView block = hidden.row_block(row, rows);
    const auto bytes = std::as_bytes(std::span(block.data, static_cast<std::size_t>(rows * header.width)));
    hash.update(bytes);
    QUERNEL_TRY_STATUS(file.write(bytes));
    hidden.release(row, rows);
  }
  QUERNEL_TRY_STATUS(file.write(hash.finish_hex()));
  return file.commit();
}

Result<std::int64_t> load_state(const std::string& path, const StateHeader& expected, HiddenStore& hidden) {
  QUERNEL_CHECK(hidden.rows() == expected.rows && hidden.width() == expected.width);
  QUERNEL_TRY(const sys::MappedFile file, sys::MappedFile::open(path, sys::Access::sequential));
  Result<Parts> split_parts = split(file.bytes(), expected, path);
  if (!split_parts.ok()) return std::move(split_parts).error().in_file(path);
  const Parts& parts = *split_parts;
  if (sha256_hex(parts.hashed) != parts.digest) {
    return damaged("checksum of a calibration state file", parts.hashed.size())
        .in_file(path)
        .with_hint("start again without --resume");
  }
  const std::size_t row_bytes = static_cast<std::size_t>(expected.width) * sizeof(float);
  for (std::int64_t row = 0; row < expected.rows; row += kRowsAtOnce) {
    const std::int64_t rows = std::min(kRowsAtOnce, expected.rows - row);
    const std::size_t offset = static_cast<std::size_t>(row) * row_bytes;
    std::memcpy(hidden.row_block(row, rows).data, parts.payload.data() + offset,
                static_cast<std::size_t>(rows) * row_bytes);
    hidden.release(row, rows);
  }
  return parts.header.layer;
}

}  // namespace quernel::calib
