// Super weights: single weights of a down_proj that make the largest output of their layer all but alone. Pruning one costs a model
// most of what it can do; rounding one stretches the scale of its row and group.
//
// Rule     x: inputs that calibration kept (LayerStats::probe), y = W x. c: the input channel with the largest |x|, r: the output
//          channel with the largest |y|. W[r, c] is a super weight where
//            max|y_r| > 5 max|y_n| of every other channel n,  |W[r, c]| > 15 rms(W),  |W[r, c]| max|x_c| >= max|y_r| / 2
//          so a matrix has one at most. The probe holds the tokens with the largest inputs and some of all others: peaks are those of
//          the whole text, what other channels reach may be a little less
// Cost     probe rows * rows * cols multiply-adds
// Exact    does not depend on the number of threads
// Source   Yu et al., "The Super Weight in Large Language Models", arXiv 2411.07191, section 3 (find the spikes of input and output);
//          the numbers are our own
#pragma once

#include <vector>

#include "codec/integer_matrix.h"
#include "quant/layer_stats.h"
#include "sys/thread_pool.h"
#include "tensor/matrix.h"

namespace quernel::quant {

// weight [rows, cols]. Empty where there is none, or no probe.
std::vector<codec::Outlier> find_super_weights(ConstMatrixView weight, const LayerStats& stats, sys::ThreadPool& pool);

// weight with 0 in these places. 0 is a value of every grid and within every group's range: it stretches no scale, and however much
// a search weighs its column, no choice of scale gains or loses there. The group's mean would be weighed by the largest input of all.
Matrix without(ConstMatrixView weight, const std::vector<codec::Outlier>& places);

}  // namespace quernel::quant
