// Plain rounding to the nearest level of a grid from the range of each group: matrices for exporters, without the quant wing.
#pragma once

#include "base/result.h"
#include "codec/integer_matrix.h"
#include "model/checkpoint.h"
#include "model/quantized_model.h"
#include "tensor/matrix.h"

namespace quernel::test {

model::QuantizationInfo tiny_info(int bits, std::int64_t group_size, bool symmetric);

// act_order without static_groups: columns dealt to groups out of order.
codec::IntegerMatrix round_matrix(ConstMatrixView weight, const model::QuantizationInfo& info);

// Every linear of the blocks.
Result<model::QuantizedModel> round_model(const model::Checkpoint& source, const model::QuantizationInfo& info);

}  // namespace quernel::test
