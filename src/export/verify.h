// Proving that a written checkpoint is what it should be, by reading it back with the reader.
//
// Checks   files       every file beneath the folder has the SHA-256 of quernel/SHA256SUMS, none is missing, none is new
//          tensors     names, types, shapes, files and SHA-256 of all tensors are those of quernel/manifest.json
//          reopen      the reader opens the checkpoint
//          modules     every quantized module decodes to the dequantized weight whose hash the writer noted; against a result:
//                      to the same codes, scales and zero points
//          dense       tensors that were not quantized equal the source's, byte for byte (GGUF: rounded once)
//          closeness   quantized weights are near the source's: ||W - Q|| / ||W|| of each module below a bound for its bits, or,
//                      where a few large weights stretch the grid of the rest or the solver had another target, the errors
//                      are below kMostSteps steps of the grid
// Finds    any changed bit of any file; which check reports it depends on the place
// Errors   not_found: the folder is no checkpoint of ours. Damage is a failed check, not an error
// Threads  one call a folder
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "export/hf_checkpoint.h"
#include "model/checkpoint.h"

namespace quernel::exporting {

enum class Outcome { passed, failed, skipped };
const char* to_string(Outcome outcome);

struct Check {
  std::string name;
  Outcome outcome = Outcome::skipped;
  std::int64_t compared = 0;  // files, tensors or modules
  std::string detail;         // first difference, or why it was skipped
};

struct ModuleCloseness {
  std::string name;
  double relative_error = 0.0;  // ||W - Q||_F / ||W||_F
  double max_steps = 0.0;       // largest |w - q| in scales of its group
  double rms_steps = 0.0;       // root of the mean square of the same: 0.29 for plain rounding
};

struct Verification {
  std::string folder;
  std::vector<Check> checks;
  std::vector<ModuleCloseness> closeness;  // in model order; filled where a source was given

  [[nodiscard]] bool passed() const;  // no check failed
  [[nodiscard]] const Check* find(const std::string& name) const;
  [[nodiscard]] double max_relative_error() const;
};

// Against what the solver computed and the source it started from. `folder` is one checkpoint.
Result<Verification> verify_result(const std::string& folder, const ExportInput& expected);

// From the files alone, and against a source where one is given.
Result<Verification> verify_checkpoint(const std::string& folder, const model::Checkpoint* source = nullptr);

// Every checkpoint of an output folder: itself, or one for each of its formats, after the list of files of the whole.
Result<std::vector<Verification>> verify_output(const std::string& output, const model::Checkpoint* source = nullptr);

// Relative errors above it cannot come from rounding to this many bits.
double closeness_bound(int bits);
// Codes of another module or in another order are wrong by 1.4 steps at 2 bits, by several at 4, by dozens at 8. Below this lies
// whatever a solver does for a target of its own (drift made up for on few tokens: .84 of a step was seen).
constexpr double kMostSteps = 1.0;

}  // namespace quernel::exporting
