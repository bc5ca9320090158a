// One module of a checkpoint as a packed weight, and its product.
//
// Stored as  quantized modules and blocks of GGUF keep their codes and scales: nothing is rounded again. Columns in act-order are put in
//            the order of their groups, and activations before a product likewise. Dense ones become 8 bits in groups of 64 (scale =
//            max |w| / 127, a half) and read activations in two parts, 16 bits in all: about .0001 of divergence for a whole model's head
// Shapes     weight [rows, cols]; x [tokens, cols]; out [tokens, rows]
// Errors     those of reading a module; unsupported: a layout that kernels/packed cannot hold (odd groups)
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/row_codes.h"
#include "kernels/packed/pack.h"
#include "model/checkpoint.h"
#include "model/modules.h"
#include "runtime/layer_weights.h"
#include "sys/thread_pool.h"

namespace quernel::engine {

struct PackedLinear {
  kernels::packed::PackedWeight weight;
  std::vector<float> bias;               // [rows] or empty
  std::vector<codec::Outlier> outliers;  // single weights beside the codes: value * activation is added in float
  std::vector<std::int32_t> order;       // act-order: input k of the weight is order[k] of the module; or empty
  bool is_dense = false;                 // was not quantized in the checkpoint

  // QoQ's weights follow a method that knows of INT8 activations; others were only made smaller and must not lose by what meets them.
  [[nodiscard]] bool is_made_for_int8() const { return weight.view().groups == kernels::packed::Groups::two_level; }
  [[nodiscard]] std::int64_t rows() const { return weight.view().rows; }
  [[nodiscard]] std::int64_t cols() const { return weight.view().cols; }
};

// By whom weights are packed and where they lie.
struct PackPlace {
  sys::ThreadPool& pool;
  sys::HugeArena* arena = nullptr;  // null: memory of its own for each
};

Result<PackedLinear> load_packed(const model::Checkpoint& checkpoint, const model::LinearModule& module,
                                 const PackPlace& place);
Result<PackedLinear> pack_integers(codec::IntegerMatrix matrix, const PackPlace& place);
Result<PackedLinear> pack_blocks(const model::StoredBlocks& stored, const PackPlace& place);
Result<PackedLinear> pack_dense(const runtime::LinearWeight& weight, const PackPlace& place);

// A product of a phase: out[token][0 .. rows) = x w^T + bias.
struct Product {
  const PackedLinear* linear;
  const RowCodes* x;  // in the order of the weight
  float* out;
  std::int64_t out_stride;
};

// What a worker needs for products of its own.
struct ProductScratch {
  std::uint8_t* packed;  // scratch_bytes() of the largest weight, at a multiple of 64
  float* parts;          // [2 * tokens, 64]: two-part results of some panels
};
inline constexpr std::int64_t kPanelsPerTask = 4;  // outputs 64: what kernels/packed unpacks together

std::int64_t num_panels(std::span<const Product> products);
// Panels [first, end) of all products, counted one after another; results do not depend on how the range is cut.
void run_products(std::span<const Product> products, std::int64_t first, std::int64_t end,
                  const ProductScratch& scratch);

}  // namespace quernel::engine
