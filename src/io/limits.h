// The one table of limits that file readers keep. docs/limits.md mirrors it; tests/io/limits_test.cpp compares the two.
//
// A limit is far above every real model known and far below what would hurt: a file that passes it is refused with
// Fault::limit_exceeded before anything is allocated for it. Counts that a file declares never size an allocation.
//
// Units    bytes, elements or counts, as named
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/json.h"

namespace quernel::io {

// JSON in general: kMaxJsonBytes, kMaxJsonDepth and kMaxJsonValues stand in base/json.h, for wings that do not read
// containers.

// safetensors
constexpr std::uint64_t kMaxSafetensorsHeaderBytes = 100'000'000;  // the format's own rule
constexpr std::size_t kMaxTensorNameBytes = 1024;                  // longest seen: 120
constexpr std::size_t kMaxTensorRank = 8;
constexpr std::size_t kMaxTensorsPerFile = std::size_t{1} << 18;  // largest seen: 92,000 over 163 files
constexpr std::size_t kMaxMetadataEntries = std::size_t{1} << 16;
constexpr std::size_t kMaxShards = 4096;  // largest seen: 191
constexpr std::size_t kMaxTensorsPerModel = std::size_t{1} << 20;

// GGUF
constexpr std::size_t kMaxGgufMetadata = std::size_t{1} << 16;
constexpr std::size_t kMaxGgufKeyBytes = 65'535;     // the format's own rule
constexpr std::size_t kMaxGgufTensorNameBytes = 63;  // the format's own rule: below 64
constexpr std::size_t kMaxGgufTensorRank = 4;        // the format's own rule
constexpr std::uint64_t kMaxGgufStringBytes = std::uint64_t{1} << 30;
constexpr std::uint64_t kMaxGgufArrayElements = std::uint64_t{1} << 24;  // largest vocabularies: 262,144 tokens
constexpr std::uint64_t kMaxGgufAlignment = std::uint64_t{1} << 20;

}  // namespace quernel::io
