// What calibration will need, before it begins.
//
// Three ways, tried in this order; all give the same bytes:
//   in memory     hidden states and the outputs of attention_mix / mlp_inner are kept
//   recompute     those outputs are computed a second time instead (about a third more work)
//   spill         recompute, and hidden states live in a mapped file of the work folder
//
// Units    bytes
// Errors   out_of_memory where even the last way does not fit: parts, sum and the ceiling that would do
// Threads  pure functions
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "model/config.h"

namespace quernel::calib {

struct MemoryPlan {
  bool recompute = false;
  bool spill = false;
  std::uint64_t hidden_bytes = 0;     // hidden states of all tokens; on disk where spilled
  std::uint64_t scratch_bytes = 0;    // stored outputs of all tokens; 0 with recompute
  std::uint64_t workspace_bytes = 0;  // activations of one chunk, and what the runtime needs while it computes them
  std::uint64_t hessian_bytes = 0;    // the largest H, and with a second stream its drift
  std::uint64_t layer_bytes = 0;      // fp32 weights of one block, and with a second stream those of the source

  [[nodiscard]] std::uint64_t memory_bytes() const;  // all of the above that is memory
  [[nodiscard]] std::uint64_t disk_bytes() const { return spill ? hidden_bytes : 0; }
};

// "in memory: hidden 151.0 MB + stored outputs 402.7 MB + ... = 590.1 MB"
std::string to_string(const MemoryPlan& plan);

struct CalibrationKind {
  int streams = 1;            // 2 where the unquantized model runs along
  bool bf16_outputs = false;  // stored outputs take 2 bytes a value (output_store.h)
};

// available_bytes: what calibration may use; 0: no ceiling.
Result<MemoryPlan> plan_memory(const model::ModelConfig& config, std::int64_t num_samples, std::int64_t length,
                               std::uint64_t available_bytes, const CalibrationKind& kind = {});

// Sequences that are computed together: fixed by their length alone, so that sums never depend on memory or threads.
std::int64_t sequences_per_chunk(std::int64_t length);

}  // namespace quernel::calib
