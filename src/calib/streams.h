// The calibration tokens on their way through the model, chunk by chunk: one stream of hidden states under the weights as they are
// being quantized, and where drift is asked for a second one under the source's.
//
// Shapes   hidden states [streams * tokens, hidden_size], stream after stream; a chunk is whole sequences, [rows, ...]
// Exact    chunks depend on the length of the samples alone (sequences_per_chunk): sums over them depend on neither threads nor memory
// Errors   invalid_argument: a value that is not finite, naming layer and place, a token outside the vocabulary; those of HiddenStore
// Threads  one at a time; work inside is spread over the pool
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "calib/calibrator_options.h"
#include "calib/hidden_store.h"
#include "calib/memory_plan.h"
#include "calib/output_store.h"
#include "calib/sampling.h"
#include "model/config.h"
#include "model/modules.h"
#include "runtime/block.h"
#include "runtime/layer_weights.h"
#include "runtime/rope.h"
#include "runtime/workspace.h"

namespace quernel::calib {

// Whole sequences that are computed together.
struct Chunk {
  std::int64_t first_row = 0;
  std::int64_t num_rows = 0;
  std::int64_t first_sequence = 0;
  runtime::SequenceBatch batch;
};
std::vector<Chunk> make_chunks(std::int64_t num_sequences, std::int64_t length);

// A value that is not finite, met in a layer.
Error nonfinite(std::int64_t layer, std::string where);

// Inputs of o and down, whose outputs join the hidden states.
bool joins_residual(model::Site site);
// Whether kept inputs are stored in bf16 without a difference.
bool keeps_bf16(const CalibratorOptions& options, const std::vector<Chunk>& chunks);

class Streams {
 public:
  // config and samples outlive it. plan: whether inputs are kept, and hidden states spilled.
  static Result<std::unique_ptr<Streams>> create(const model::ModelConfig& config, const CalibrationSamples& samples,
                                                 const CalibratorOptions& options, const MemoryPlan& plan);

  [[nodiscard]] std::size_t count() const { return options_.drift == Drift::none ? 1 : 2; }
  [[nodiscard]] const std::vector<Chunk>& chunks() const { return chunks_; }
  [[nodiscard]] const HiddenStore& store() const { return hidden_; }
  [[nodiscard]] HiddenStore& store() { return hidden_; }
  [[nodiscard]] MatrixView hidden(const Chunk& chunk, std::size_t stream) const {
    return hidden_.row_block(row_of(chunk, stream), chunk.num_rows);
  }
  // Hidden states of the chunk are not needed soon.
  void release(const Chunk& chunk, std::size_t stream) const { hidden_.release(row_of(chunk, stream), chunk.num_rows); }

  Status embed(const runtime::EndWeights& ends);
  // Nothing is kept, the second stream has not run ahead: the hidden states are the inputs of the next branch.
  void start_branch();

  // What the modules of a site read. Valid until the next call for the same stream. max_abs_keys: runtime/block.h.
  ConstMatrixView input(const runtime::LayerWeights& weights, model::Site site, const Chunk& chunk, std::size_t stream,
                        std::span<float> max_abs_keys = {});
  // x, what input() gave for the first stream, need not be computed again by pass_branch() when all chunks are kept.
  void keep(model::Site site, const Chunk& chunk, ConstMatrixView x);
  void forget_kept() { kept_rows_ = 0; }
  // The next chunk of the second stream passes the branch of a site that joins the residual, unless it has.
  Status run_ahead(const runtime::LayerWeights& source, model::Site site, std::size_t chunk);
  // All chunks of all streams do. source: of the second one, null where there is none.
  Status pass_branch(const runtime::LayerWeights& weights, model::Site site, const runtime::LayerWeights* source);

 private:
  Status allocate(const MemoryPlan& plan);
  runtime::BlockContext context(std::size_t stream, std::span<float> max_abs_keys = {});
  [[nodiscard]] std::int64_t row_of(const Chunk& chunk, std::size_t stream) const {
    return static_cast<std::int64_t>(stream) * samples_->num_tokens() + chunk.first_row;
  }
  MatrixView output_rows(const Chunk& chunk, model::Site site, std::size_t stream);
  Status add_branch(const runtime::LayerWeights& weights, model::Site site, const Chunk& chunk, ConstMatrixView x,
                    std::size_t stream);

  const model::ModelConfig* config_ = nullptr;
  const CalibrationSamples* samples_ = nullptr;
  CalibratorOptions options_;
  std::shared_ptr<const runtime::RopeTable> rope_;
  runtime::Workspace workspace_;
  std::vector<Chunk> chunks_;
  HiddenStore hidden_;
  OutputStore kept_;
  bool keeps_ = false;
  std::int64_t kept_rows_ = 0;
  std::array<Matrix, 2> normed_;  // of each stream [chunk rows, hidden_size]
  std::array<Matrix, 2> output_;  // of each stream [chunk rows, widest site that joins the residual]
  std::size_t num_ahead_ = 0;     // so many chunks of the second stream have passed the branch in hand
};

}  // namespace quernel::calib
