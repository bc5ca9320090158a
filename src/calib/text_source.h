// Calibration text: files of the user's, or a corpus that is built in.
//
// Files    .jsonl: one JSON object a line, the text in one string field; any other suffix: plain UTF-8 text
// Layout   documents (files, JSONL records) in the order given, joined by one blank line; a byte order mark at the
//          start of a file is dropped, blank JSONL lines are skipped
// Limits   all sources together kMaxTextBytes (docs/limits.md)
// Errors   not_found, io_error; invalid_argument: empty, not UTF-8 (file and byte offset), a JSONL record without the
//          field; corrupt: a JSONL line that is no JSON; limit_exceeded
// Threads  pure functions of the files
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"

namespace quernel::calib {

// 256 MiB are about 60 million tokens: hundreds of times what calibration uses, still tokenized in a minute.
constexpr std::size_t kMaxTextBytes = std::size_t{256} << 20;

struct TextOptions {
  std::string jsonl_field = "text";
  std::size_t max_bytes = kMaxTextBytes;
};

struct CalibrationText {
  std::string name;                // "builtin:mixed-v1", or the file names (without folders) joined by commas
  std::string text;                // UTF-8
  std::string sha256;              // of text
  std::int64_t num_documents = 0;  // files and JSONL records that held text
};

// Each source is a path or the name of a built-in corpus ("builtin:mixed-v1", calib/corpus.h).
Result<CalibrationText> load_text(std::span<const std::string> sources, const TextOptions& options = {});

}  // namespace quernel::calib
