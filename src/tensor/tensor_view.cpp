#include "tensor/tensor_view.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/checked.h"
#include "tensor/half.h"

namespace quernel {

namespace {

static_assert(std::endian::native == std::endian::little, "containers are little-endian and are read in place");

// Reads through a small aligned buffer: the bytes of a container stand at any address.
template <class T, class Convert>
void convert_blocks(std::span<const std::byte> bytes, std::span<float> out, Convert convert) {
  constexpr std::size_t kBlock = 512;  // elements; buffer and output stay in the first-level cache
  alignas(64) T buffer[kBlock];
  for (std::size_t first = 0; first < out.size(); first += kBlock) {
    const std::size_t count = std::min(kBlock, out.size() - first);
    std::memcpy(buffer, bytes.data() + first * sizeof(T), count * sizeof(T));
    convert(std::span<const T>(buffer, count), out.subspan(first, count));
  }
}

template <class T>
void convert_numbers(std::span<const std::byte> bytes, std::span<float> out) {
  convert_blocks<T>(bytes, out, [](std::span<const T> from, std::span<float> to) {
    for (std::size_t i = 0; i < from.size(); ++i) to[i] = static_cast<float>(from[i]);
  });
}

}  // namespace

std::string to_string(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

std::int64_t TensorView::num_elements() const {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) {
    const auto product = checked_mul(count, extent);
    QUERNEL_CHECK(extent >= 0 && product.has_value(), "shape {}", to_string(shape));
    count = *product;
  }
  return count;
}

Status to_float(const TensorView& tensor, std::span<float> out) {
  QUERNEL_CHECK(std::cmp_equal(tensor.num_elements(), out.size()), "{} values into {}", tensor.num_elements(),
                out.size());
  QUERNEL_CHECK(tensor.bytes.size() == out.size() * size_of(tensor.dtype), "{} bytes for {} of {}", tensor.bytes.size(),
                out.size(), to_string(tensor.dtype));
  switch (tensor.dtype) {
    case DType::f32:
      if (!out.empty()) std::memcpy(out.data(), tensor.bytes.data(), tensor.bytes.size());
      return ok_status();
    case DType::f16:
      convert_blocks<std::uint16_t>(tensor.bytes, out, [](auto from, auto to) { f16_to_float(from, to); });
      return ok_status();
    case DType::bf16:
      convert_blocks<std::uint16_t>(tensor.bytes, out, [](auto from, auto to) { bf16_to_float(from, to); });
      return ok_status();
    case DType::f64: convert_numbers<double>(tensor.bytes, out); return ok_status();
    case DType::i8: convert_numbers<std::int8_t>(tensor.bytes, out); return ok_status();
    case DType::u8: convert_numbers<std::uint8_t>(tensor.bytes, out); return ok_status();
    case DType::i16: convert_numbers<std::int16_t>(tensor.bytes, out); return ok_status();
    case DType::u16: convert_numbers<std::uint16_t>(tensor.bytes, out); return ok_status();
    case DType::i32: convert_numbers<std::int32_t>(tensor.bytes, out); return ok_status();
    case DType::u32: convert_numbers<std::uint32_t>(tensor.bytes, out); return ok_status();
    case DType::i64:
    case DType::u64:
    case DType::boolean:
    case DType::f8_e4m3:
    case DType::f8_e5m2: break;
  }
  return Error(Fault::unsupported, "tensor cannot be read as numbers")
      .expect("F32, F16, BF16, F64 or an integer type of at most 32 bits", std::string(to_string(tensor.dtype)));
}

Result<Matrix> to_matrix(const TensorView& tensor) {
  if (tensor.shape.empty() || tensor.shape.size() > 2)
    return Error(Fault::unsupported, "tensor is not a matrix").expect("1 or 2 dimensions", to_string(tensor.shape));
  const std::int64_t rows = tensor.shape.size() == 2 ? tensor.shape[0] : 1;
  Matrix matrix = Matrix::uninitialized(rows, tensor.shape.back());
  QUERNEL_TRY_STATUS(to_float(tensor, {matrix.data(), static_cast<std::size_t>(matrix.size())}));
  return matrix;
}

std::int64_t first_nonfinite(std::span<const float> values) {
  constexpr std::size_t kBlock = 1024;
  constexpr std::uint32_t kExponent = 0x7F800000u;
  for (std::size_t first = 0; first < values.size(); first += kBlock) {
    const auto block = values.subspan(first, std::min(kBlock, values.size() - first));
    // Whole blocks without a branch: the sum of "all exponent bits set" is 0 in all but a broken file.
    std::uint32_t bad = 0;
    for (const float value : block) bad += (std::bit_cast<std::uint32_t>(value) & kExponent) == kExponent ? 1u : 0u;
    if (bad == 0) continue;
    for (std::size_t i = 0; i < block.size(); ++i)
      if ((std::bit_cast<std::uint32_t>(block[i]) & kExponent) == kExponent)
        return static_cast<std::int64_t>(first + i);
  }
  return -1;
}

}  // namespace quernel
