#include "calib/drift.h"

#include <algorithm>
#include <functional>

#include "calib/for_rows.h"
#include "calib/hessian.h"
#include "runtime/linear.h"
#include "tensor/half.h"
#include "tensor/linalg.h"

namespace quernel::calib {

using model::Site;

namespace {

void subtract(ConstMatrixView a, ConstMatrixView b, MatrixView out, sys::ThreadPool& pool) {
  for_rows(out.rows, pool, [&](std::int64_t row) {
    std::transform(a.row(row).begin(), a.row(row).end(), b.row(row).begin(), out.row(row).begin(), std::minus<>());
  });
}

}  // namespace

DriftSums::DriftSums(const model::ModelConfig& config, const CalibratorOptions& options, Streams& streams)
    : config_(config), options_(options), streams_(streams) {
  std::int64_t width = config.hidden_size;
  for (const Site site : model::kSites) width = std::max(width, model::site_width(config, site));
  difference_ = Matrix::uninitialized(streams.chunks().front().num_rows, width);
}

model::Linear DriftSums::last_linear() const {
  return site_ == Site::attention_out ? model::Linear::o : model::Linear::down;
}

bool DriftSums::is_of_outputs(const runtime::LayerWeights& weights) const {
  const bool normalised = !(site_ == Site::attention_out ? weights.attention_post_norm : weights.mlp_post_norm).empty();
  return options_.drift == Drift::stream && joins_residual(site_) && !normalised;
}

void DriftSums::start(const runtime::LayerWeights& source, Site site, quant::LayerStats& stats) {
  site_ = site;
  const std::int64_t width = model::site_width(config_, site);
  if (is_of_outputs(source)) {
    stats.output_drift = Matrix(config_.hidden_size, width);
  } else {
    stats.input_drift = Matrix(width, width);
  }
}

// Of outputs the sum of (h_ref + W x_ref - h) x^T is taken, and finish() takes W H off it.
Status DriftSums::add(const runtime::LayerWeights& source, std::size_t index, ConstMatrixView x,
                      quant::LayerStats& stats) {
  const Chunk& chunk = streams_.chunks()[index];
  if (!is_of_outputs(source)) {
    const MatrixView drift(difference_.data(), x.rows, x.cols);
    subtract(streams_.input(source, site_, chunk, 1), x, drift, *options_.pool);
    accumulate_product(drift, x, options_.precision, stats.input_drift, *options_.pool);
    return ok_status();
  }
  QUERNEL_TRY_STATUS(streams_.run_ahead(source, site_, index));
  const MatrixView drift(difference_.data(), x.rows, config_.hidden_size);
  subtract(streams_.hidden(chunk, 1), streams_.hidden(chunk, 0), drift, *options_.pool);
  const std::vector<float>& bias = source.linear(last_linear()).bias;
  const auto scale = static_cast<float>(config_.residual_scale);
  for_rows(bias.empty() ? 0 : drift.rows, *options_.pool, [&](std::int64_t row) {
    for (std::size_t i = 0; i < bias.size(); ++i) drift.row(row)[i] -= scale * bias[i];
  });
  accumulate_product(drift, x, options_.precision, stats.output_drift, *options_.pool);
  return ok_status();
}

// Brings output drift into units of the linear's own output, and takes off what the source's weights make of x itself. In bf16
// those are the weights as products round them, so that a layer without drift shows none.
void DriftSums::finish(const runtime::LayerWeights& source, quant::LayerStats& stats) const {
  if (stats.output_drift.empty()) return;
  Matrix weight = runtime::widen(source.linear(last_linear()));
  if (runtime::effective(options_.precision) == runtime::Precision::bf16) {
    for (std::int64_t i = 0; i < weight.size(); ++i) weight.data()[i] = bf16_to_float(float_to_bf16(weight.data()[i]));
  }
  const auto scale = static_cast<float>(1.0 / config_.residual_scale);
  gemm_nn(weight, stats.hessian, stats.output_drift, -1.0F, scale, *options_.pool);
}

}  // namespace quernel::calib
