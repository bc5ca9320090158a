// The packed layouts of one quantized linear: our own two-level one, GPTQ, compressed-tensors, AWQ. Never crashes; what is
// accepted is a valid matrix; our own layout and AWQ's, which have one form only, pack to the same bytes again.
//
// Input    8 bytes: layout, rows, cols, bits, group size, type of scales, flags, number of outliers (mod 4); then the tensors' bytes one after
//          the other, as long as the shapes ask. Missing bytes are 0.
#include <algorithm>
#include <array>
#include <vector>

#include "codec/int_pack.h"
#include "codec/int_pack_awq.h"
#include "codec/int_pack_compressed_tensors.h"
#include "codec/int_pack_gptq.h"
#include "codec/two_level.h"
#include "fuzz.h"

using namespace quernel;
using quernel::fuzz::expect;

namespace {

constexpr std::size_t kHeadBytes = 8;
constexpr std::array<DType, 3> kScaleTypes = {DType::f16, DType::bf16, DType::f32};
constexpr std::array<std::int64_t, 6> kGroupSizes = {-1, 1, 3, 16, 32, 128};

struct Case {
  std::int64_t rows = 1;
  std::int64_t cols = 1;
  int bits = 4;
  std::int64_t group_size = -1;
  DType scale_dtype = DType::f16;
  bool symmetric = false;
  bool g_idx = false;
  bool zeros_v2 = false;
  std::int64_t outliers = 0;

  [[nodiscard]] std::int64_t groups() const { return codec::num_groups(cols, group_size == -1 ? cols : group_size); }
};

Case case_of(const std::uint8_t* head) {
  return {.rows = 1 + head[1] % 40,
          .cols = 1 + head[2] % 80,
          .bits = 2 + head[3] % 7,
          .group_size = kGroupSizes[head[4] % kGroupSizes.size()],
          .scale_dtype = kScaleTypes[head[5] % kScaleTypes.size()],
          .symmetric = (head[6] & 1) != 0,
          .g_idx = (head[6] & 2) != 0,
          .zeros_v2 = (head[6] & 4) != 0,
          .outliers = head[7] % 4};
}

// Hands out tensors from the input's bytes; keeps what it made.
class Source {
 public:
  explicit Source(std::span<const std::byte> bytes) : bytes_(bytes) {}

  TensorView take(DType dtype, Shape shape) {
    std::size_t size = size_of(dtype);
    for (const std::int64_t extent : shape) size *= static_cast<std::size_t>(extent);
    std::vector<std::byte>& kept = kept_.emplace_back(size);
    const std::size_t present = std::min(size, bytes_.size());
    std::copy_n(bytes_.begin(), present, kept.begin());
    bytes_ = bytes_.subspan(present);
    return {.dtype = dtype, .shape = std::move(shape), .bytes = kept};
  }

 private:
  std::span<const std::byte> bytes_;
  std::vector<std::vector<std::byte>> kept_;
};

bool same(std::span<const std::byte> a, std::span<const std::byte> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

void check(const Result<codec::IntegerMatrix>& matrix) {
  const Status valid = matrix.ok() ? codec::validate(*matrix) : Status();
  if (!valid.ok()) std::fprintf(stderr, "%s\n", to_string(valid.error()).c_str());
  expect(valid.ok(), "an accepted matrix is valid");
  if (!matrix.ok()) expect(!to_string(matrix.error()).empty(), "an error can be told");
}

void two_level(const Case& in, Source& source) {
  codec::TwoLevelViews views = {.codes = source.take(DType::u8, {in.rows, (in.cols + 1) / 2}),
                                .groups = source.take(DType::u8, {in.rows, in.groups()}),
                                .scales = source.take(in.scale_dtype, {in.rows})};
  if (in.outliers > 0) views.outlier_index = source.take(DType::i32, {in.outliers, 2});
  if (in.outliers > 0 && !in.g_idx) views.outlier_values = source.take(DType::f32, {in.outliers});
  const auto matrix = codec::unpack_two_level(views, {in.rows, in.cols, in.group_size, in.symmetric});
  check(matrix);
  if (!matrix.ok()) return;
  expect(same(codec::two_level_codes(*matrix), views.codes.bytes), "codes come back");
  expect(same(codec::two_level_groups(*matrix), views.groups.bytes), "groups come back");
  expect(same(codec::two_level_scales(*matrix), views.scales.bytes), "row scales come back");
  if (in.outliers == 0) return;
  expect(same(codec::outlier_index(*matrix), views.outlier_index->bytes), "places come back");
  expect(same(codec::outlier_values(*matrix), views.outlier_values->bytes), "values come back");
}

void gptq(const Case& in, Source& source) {
  codec::GptqViews views;
  views.qweight = source.take(DType::i32, {codec::packed_words(in.cols, in.bits), in.rows});
  views.qzeros = source.take(DType::i32, {in.groups(), codec::packed_words(in.rows, in.bits)});
  views.scales = source.take(in.scale_dtype, {in.groups(), in.rows});
  if (in.g_idx) views.g_idx = source.take(DType::i32, {in.cols});
  const auto zeros = in.zeros_v2 ? codec::GptqZeros::v2 : codec::GptqZeros::v1;
  check(codec::unpack_gptq(views, {in.rows, in.cols, in.bits, in.group_size, in.symmetric, zeros}));
}

void pack_quantized(const Case& in, Source& source) {
  codec::PackQuantizedViews views;
  views.weight_packed = source.take(DType::i32, {in.rows, codec::packed_words(in.cols, in.bits)});
  views.weight_scale = source.take(in.scale_dtype, {in.rows, in.groups()});
  if (!in.symmetric) {
    views.weight_zero_point = source.take(DType::i32, {codec::packed_words(in.rows, in.bits), in.groups()});
  }
  if (in.g_idx) views.weight_g_idx = source.take(DType::i32, {in.cols});
  check(codec::unpack_quantized(views, {in.rows, in.cols, in.bits, in.group_size, in.symmetric}));
}

// Sides that the layout can have, unless a flag asks for any.
void awq(const Case& in, Source& source) {
  const std::int64_t rows = in.zeros_v2 ? in.rows : (in.rows + 7) / 8 * 8;
  codec::AwqViews views;
  views.qweight = source.take(DType::i32, {in.cols, rows / 8});
  if (!in.g_idx) views.qzeros = source.take(DType::i32, {in.groups(), rows / 8});
  views.scales = source.take(in.scale_dtype, {in.groups(), rows});
  const auto matrix = codec::unpack_awq(views, {rows, in.cols, in.group_size, in.symmetric});
  check(matrix);
  if (!matrix.ok()) return;
  const std::vector<std::uint32_t> codes = codec::awq_qweight(*matrix);
  const std::vector<std::uint32_t> zeros = codec::awq_qzeros(*matrix);
  expect(same(std::as_bytes(std::span(codes)), views.qweight.bytes), "codes come back");
  if (views.qzeros) expect(same(std::as_bytes(std::span(zeros)), views.qzeros->bytes), "zeros come back");
  const auto scales = codec::awq_scales(*matrix);
  if (in.scale_dtype != DType::f16) return;  // others need not be values of half precision
  expect(scales.ok() && same(std::as_bytes(std::span(*scales)), views.scales.bytes), "scales come back");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < kHeadBytes) return 0;
  const Case in = case_of(data);
  Source source(fuzz::as_bytes(data + kHeadBytes, size - kHeadBytes));
  switch (data[0] % 4) {
    case 0: two_level(in, source); break;
    case 1: gptq(in, source); break;
    case 2: pack_quantized(in, source); break;
    default: awq(in, source); break;
  }
  return 0;
}
