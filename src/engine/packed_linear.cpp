#include "engine/packed_linear.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

#include "base/checked.h"
#include "kernels/packed/pack_blocks.h"
#include "tensor/half.h"

namespace quernel::engine {
namespace {

namespace packed = kernels::packed;

constexpr std::int64_t kDenseGroup = 64;
constexpr int kDenseZero = 128;
constexpr float kDenseMost = 127.0F;

// One row in groups of 64: code = round(w / scale) + 128.
void pack_dense_row(packed::PackedWeight& weight, std::int64_t row, std::span<const float> values) {
  const packed::WeightView& w = weight.view();
  std::vector<std::uint8_t> codes(values.size());
  std::uint8_t* panel = weight.params() + (row / packed::kPanelOutputs) * w.panel_param_bytes();
  for (std::int64_t group = 0; group < w.num_groups(); ++group) {
    const auto first = static_cast<std::size_t>(group * kDenseGroup);
    const std::span<const float> part =
        values.subspan(first, std::min<std::size_t>(kDenseGroup, values.size() - first));
    float largest = 0.0F;
    for (const float value : part) largest = std::max(largest, std::fabs(value));
    // Rounded up to a half, so that no code leaves its range.
    std::uint16_t bits = float_to_f16(largest / kDenseMost);
    if (f16_to_float(bits) * kDenseMost < largest) ++bits;
    const float scale = f16_to_float(bits);
    std::memcpy(panel + w.group_offset(group) + 2 * (row % packed::kPanelOutputs), &bits, sizeof bits);
    for (std::size_t k = 0; k < part.size(); ++k) {
      const float code = scale > 0.0F ? std::nearbyint(part[k] / scale) : 0.0F;
      codes[first + k] = static_cast<std::uint8_t>(kDenseZero + static_cast<int>(code));
    }
  }
  packed::put_row_codes(weight, row, codes.data());
}

// Panels [first, end) of one weight, in two parts: high and low are added.
void run_two_parts(const Product& product, const RowCodes& x, std::int64_t first, std::int64_t end,
                   const ProductScratch& scratch) {
  constexpr std::int64_t kStride = kPanelsPerTask * packed::kPanelOutputs;
  for (std::int64_t panel = first; panel < end; panel += kPanelsPerTask) {
    const std::int64_t last = std::min(end, panel + kPanelsPerTask);
    const std::int64_t output = panel * packed::kPanelOutputs;
    const std::int64_t count = std::min(product.linear->rows(), last * packed::kPanelOutputs) - output;
    packed::run(
        {product.linear->weight.view(), x.view(), panel, last, scratch.parts - output, kStride, scratch.packed});
    for (std::int64_t m = 0; m < x.tokens(); ++m) {
      const float* high = scratch.parts + 2 * m * kStride;
      const float* low = high + kStride;
      float* out = product.out + m * product.out_stride + output;
      for (std::int64_t n = 0; n < count; ++n) out[n] = high[n] + low[n];
    }
  }
}

void run_product(const Product& product, const RowCodes& x, std::int64_t first, std::int64_t end,
                 const ProductScratch& scratch) {
  if (x.two_parts())
    run_two_parts(product, x, first, end, scratch);
  else
    packed::run({product.linear->weight.view(), x.view(), first, end, product.out, product.out_stride, scratch.packed});
  const std::int64_t from = first * packed::kPanelOutputs;
  const std::int64_t to = std::min(product.linear->rows(), end * packed::kPanelOutputs);
  for (const codec::Outlier& outlier : product.linear->outliers) {
    if (outlier.row < from || outlier.row >= to) continue;
    for (std::int64_t m = 0; m < x.tokens(); ++m)
      product.out[m * product.out_stride + outlier.row] += outlier.value * x.value(m, outlier.col);
  }
  if (product.linear->bias.empty()) return;
  for (std::int64_t m = 0; m < x.tokens(); ++m)
    for (std::int64_t n = from; n < to; ++n)
      product.out[m * product.out_stride + n] += product.linear->bias[static_cast<std::size_t>(n)];
}

}  // namespace

Result<PackedLinear> pack_dense(const runtime::LinearWeight& weight, const PackPlace& place) {
  packed::WeightView shape;
  shape.codes = packed::Codes::u8;
  shape.groups = packed::Groups::f16_fixed;
  shape.fixed_zero = kDenseZero;
  shape.rows = weight.rows;
  shape.cols = weight.cols;
  shape.group_size = kDenseGroup;
  PackedLinear linear;
  linear.bias = weight.bias;
  linear.is_dense = true;
  QUERNEL_TRY(linear.weight, packed::PackedWeight::make(shape, place.arena));
  place.pool.parallel_for(shape.panels(), [&](std::int64_t panel) {
    const std::int64_t first = panel * packed::kPanelOutputs;
    const Matrix rows = widen(weight, first, std::min(packed::kPanelOutputs, weight.rows - first));
    for (std::int64_t r = 0; r < rows.rows(); ++r) pack_dense_row(linear.weight, first + r, rows.row(r));
  });
  return linear;
}

namespace {

// Puts the columns of a matrix in act-order into the order of their groups; order[new] = old. False where groups are not all alike.
bool sort_columns(codec::IntegerMatrix& matrix, std::vector<std::int32_t>& order) {
  order.resize(static_cast<std::size_t>(matrix.cols));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return matrix.group_of_column[static_cast<std::size_t>(a)] < matrix.group_of_column[static_cast<std::size_t>(b)];
  });
  std::vector<std::uint8_t> codes(matrix.codes.size());
  for (std::int64_t row = 0; row < matrix.rows; ++row)
    for (std::int64_t k = 0; k < matrix.cols; ++k)
      codes[static_cast<std::size_t>(row * matrix.cols + k)] =
          matrix.codes[static_cast<std::size_t>(row * matrix.cols + order[static_cast<std::size_t>(k)])];
  std::vector<std::int32_t> groups(matrix.group_of_column.size());
  for (std::size_t k = 0; k < groups.size(); ++k)
    groups[k] = matrix.group_of_column[static_cast<std::size_t>(order[k])];
  std::vector<std::int32_t> place(order.size());
  for (std::size_t k = 0; k < order.size(); ++k)
    place[static_cast<std::size_t>(order[k])] = static_cast<std::int32_t>(k);
  for (codec::Outlier& outlier : matrix.outliers) outlier.col = place[static_cast<std::size_t>(outlier.col)];
  matrix.codes = std::move(codes);
  matrix.group_of_column = std::move(groups);
  return matrix.has_contiguous_groups();
}

}  // namespace

Result<PackedLinear> pack_integers(codec::IntegerMatrix matrix, const PackPlace& place) {
  PackedLinear linear;
  if (!matrix.has_contiguous_groups() && !sort_columns(matrix, linear.order))
    return Error(Fault::unsupported, "groups of act-order are not of equal size");
  // The code under an outlier stands for 0, so codes and list can be multiplied apart.
  linear.outliers = std::exchange(matrix.outliers, {});
  QUERNEL_TRY(linear.weight, packed::pack(matrix, place.pool, place.arena));
  return linear;
}

Result<PackedLinear> pack_blocks(const model::StoredBlocks& stored, const PackPlace& place) {
  PackedLinear linear;
  QUERNEL_TRY(linear.weight, packed::pack_blocks({stored.type, stored.rows, stored.cols,
                                                  [&](std::int64_t row) { return stored.row(row); }},
                                                 place.pool, place.arena));
  return linear;
}

Result<PackedLinear> load_packed(const model::Checkpoint& checkpoint, const model::LinearModule& module,
                                 const PackPlace& place) {
  PackedLinear linear;
  if (const std::optional<model::StoredBlocks> stored = checkpoint.blocks(module.name + ".weight")) {
    Result<PackedLinear> blocks = pack_blocks(*stored, place);
    if (!blocks.ok()) return std::move(blocks).error().in_file(checkpoint.path()).in_tensor(module.name);
    linear = std::move(blocks).value();
  } else if (checkpoint.is_quantized(module.name)) {
    QUERNEL_TRY(codec::IntegerMatrix matrix, checkpoint.read_quantized(module.name));
    Result<PackedLinear> packed_module = pack_integers(std::move(matrix), place);
    if (!packed_module.ok()) return std::move(packed_module).error().in_file(checkpoint.path()).in_tensor(module.name);
    linear = std::move(packed_module).value();
  } else {
    QUERNEL_TRY(Matrix matrix, checkpoint.read_weight(module.name));
    QUERNEL_TRY(linear, pack_dense(runtime::own_weight(std::move(matrix)), place));
  }
  if (linear.rows() != module.rows || linear.cols() != module.cols)
    return Error(Fault::corrupt, "a module's shape does not fit the model")
        .in_file(checkpoint.path())
        .in_tensor(module.name)
        .expect(to_string(Shape{module.rows, module.cols}), to_string(Shape{linear.rows(), linear.cols()}));
  QUERNEL_TRY(const std::optional<Matrix> bias, checkpoint.read_bias(module.name));
  if (bias) linear.bias.assign(bias->data(), bias->data() + bias->size());
  return linear;
}

std::int64_t num_panels(std::span<const Product> products) {
  std::int64_t panels = 0;
  for (const Product& product : products) panels += product.linear->weight.view().panels();
  return panels;
}

void run_products(std::span<const Product> products, std::int64_t first, std::int64_t end,
                  const ProductScratch& scratch) {
  for (const Product& product : products) {
    const std::int64_t panels = product.linear->weight.view().panels();
    if (first < panels && end > 0)
      run_product(product, *product.x, std::max<std::int64_t>(first, 0), std::min(end, panels), scratch);
    first -= panels;
    end -= panels;
  }
}

}  // namespace quernel::engine
