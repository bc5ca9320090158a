// How far the quantized stream has drifted from the source's, summed for one site (quant/layer_stats.h).
//
// Formula  of inputs: sum (x_ref - x) x^T. Of outputs, where a site's output joins the residual unnormalised: (h_ref + W x_ref - h - W x) x^T,
//          in units of the linear's own output, so that what follows can make up for drift of the residual too
// Exact    as Streams
// Errors   those of Streams
#pragma once

#include <cstddef>
#include <vector>

#include "base/result.h"
#include "calib/calibrator_options.h"
#include "calib/streams.h"
#include "model/config.h"
#include "model/modules.h"
#include "quant/layer_stats.h"
#include "runtime/layer_weights.h"
#include "tensor/matrix.h"

namespace quernel::calib {

class DriftSums {
 public:
  // Room for chunks of the streams; both outlive it.
  DriftSums(const model::ModelConfig& config, const CalibratorOptions& options, Streams& streams);

  void start(const runtime::LayerWeights& source, model::Site site, quant::LayerStats& stats);
  // x: the inputs of the quantized stream in chunk `index`. With output drift the second stream passes the branch here already, so that it is
  // computed once.
  Status add(const runtime::LayerWeights& source, std::size_t index, ConstMatrixView x, quant::LayerStats& stats);
  // stats.hessian is finished.
  void finish(const runtime::LayerWeights& source, quant::LayerStats& stats) const;

 private:
  [[nodiscard]] bool is_of_outputs(const runtime::LayerWeights& weights) const;
  [[nodiscard]] model::Linear last_linear() const;

  const model::ModelConfig& config_;
  const CalibratorOptions& options_;
  Streams& streams_;
  model::Site site_ = model::Site::attention_in;
  Matrix difference_;  // [chunk rows, widest site]
};

}  // namespace quernel::calib
