// Block-by-block calibration: statistics of every linear's input while quantized inputs flow on.
//
//   calibrator.embed(ends)
//   per layer, per site in model::kSites order:
//     stats = calibrator.collect(weights, site)      inputs of the site under the weights as they are now
//     ... quantize the site's modules, weights.replace(module, dequantized) ...
//     calibrator.advance(weights, site)              the site is done; its outputs are those of the new weights
//   advance(mlp_out) completes the layer: hidden states are then the inputs of the next one.
//
// With CalibratorOptions::drift the unquantized model runs along on the same tokens (a second stream of hidden states): both
// calls then take its layer too, and the statistics hold how far the quantized stream has drifted from it.
//
// collect may be left out (a layer that is kept or was quantized before the job was resumed): advance does the work
// that is still needed, so `advance` over finished layers from embed() on gives the same bytes as an uninterrupted run.
//
// Formula  hessian = sum over tokens of x x^T, summed in chunks of sequences_per_chunk() sequences in text order
// Exact    same samples, weights and precision: the same bytes for any number of threads, memory plan and save/restore
//          point
// Errors   invalid_argument: a NaN or infinite activation, naming layer and site; a token id outside the vocabulary;
//          samples longer than the model's context;
//          incompatible_state / corrupt: a state file of another job, or a damaged one; interrupted (collect only: call
//          again)
// Threads  one thread at a time; work inside is spread over the pool
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "calib/calibrator_options.h"
#include "calib/memory_plan.h"
#include "calib/sampling.h"
#include "model/config.h"
#include "model/modules.h"
#include "quant/layer_stats.h"
#include "runtime/layer_weights.h"

namespace quernel::calib {

class BlockCalibrator {
 public:
  // config and samples must outlive the calibrator.
  static Result<BlockCalibrator> create(const model::ModelConfig& config, const CalibrationSamples& samples,
                                        const CalibratorOptions& options);
  ~BlockCalibrator();
  BlockCalibrator(BlockCalibrator&&) noexcept;
  BlockCalibrator& operator=(BlockCalibrator&&) noexcept;

  Status embed(const runtime::EndWeights& ends);

  // Both are to be called for the site that is next (see there). source: the layer of the unquantized model, given where
  // options ask for drift.
  Result<quant::LayerStats> collect(const runtime::LayerWeights& weights, model::Site site,
                                    const runtime::LayerWeights* source = nullptr);
  Status advance(const runtime::LayerWeights& weights, model::Site site, const runtime::LayerWeights* source = nullptr);

  [[nodiscard]] std::int64_t next_layer() const;  // 0 after embed(); num_layers when all is done
  [[nodiscard]] model::Site next_site() const;
  [[nodiscard]] const MemoryPlan& plan() const;

  // Hidden states at a layer boundary (next_site() is attention_in), with a checksum; restore() takes the place of
  // embed().
  Status save(const std::string& path) const;
  Status restore(const std::string& path);

 private:
  struct State;
  explicit BlockCalibrator(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace quernel::calib
