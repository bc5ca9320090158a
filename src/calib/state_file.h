// Hidden states of a calibration at a layer boundary, as a file.
//
// Layout   "QRNLHID1"; u64 length of the header; header (JSON: layer, rows, width, length, samples_sha256, precision);
//          rows * width float32, row-major; 64 hexadecimal digits: SHA-256 of everything before. All little-endian
// Errors   save: as sys/atomic_file.h. load: not_found, io_error; corrupt (magic, sizes, checksum);
//          incompatible_state naming the first header field that differs
// Threads  one thread at a time
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "calib/hidden_store.h"

namespace quernel::calib {

struct StateHeader {
  std::int64_t layer = 0;  // inputs of this layer; not compared by load
  std::int64_t rows = 0;
  std::int64_t width = 0;
  std::int64_t length = 0;
  std::string samples_sha256;
  std::string precision;
};

Status save_state(const std::string& path, const StateHeader& header, const HiddenStore& hidden);
// Fills `hidden`, whose shape is that of `expected`; returns the layer. Nothing is changed where it fails.
Result<std::int64_t> load_state(const std::string& path, const StateHeader& expected, HiddenStore& hidden);

}  // namespace quernel::calib
