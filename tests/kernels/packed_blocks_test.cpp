#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "base/rng.h"
#include "codec/gguf_blocks.h"
#include "codec/gguf_split.h"
#include "kernels/packed/pack_blocks.h"
#include "tensor/half.h"

namespace quernel::kernels::packed {
namespace {

using codec::GgmlType;

// Where a type keeps its halves, or -1.
struct Halves {
  GgmlType type;
  int d;
  int dmin;
};
constexpr Halves kTypes[] = {{GgmlType::q4_0, 0, -1},  {GgmlType::q4_1, 0, 2},    {GgmlType::q5_0, 0, -1},
                             {GgmlType::q5_1, 0, 2},   {GgmlType::q8_0, 0, -1},   {GgmlType::iq4_nl, 0, -1},
                             {GgmlType::q2_k, 80, 82}, {GgmlType::q3_k, 108, -1}, {GgmlType::q4_k, 0, 2},
                             {GgmlType::q5_k, 0, 2},   {GgmlType::q6_k, 208, -1}, {GgmlType::iq4_xs, 0, -1}};

void set_half(std::byte* at, float value) {
  const std::uint16_t bits = float_to_f16(value);
  std::memcpy(at, &bits, sizeof bits);
}

struct Stored {
  const codec::GgmlTypeTraits& traits;
  std::int64_t rows, cols, row_bytes;
  std::vector<std::byte> bytes;

  // Any bytes, with halves that are finite.
  Stored(const Halves& halves, std::int64_t num_rows, std::int64_t blocks_a_row)
      : traits(*codec::find_ggml_type(static_cast<std::uint32_t>(halves.type))),
        rows(num_rows),
        cols(blocks_a_row * traits.elements_per_block),
        row_bytes(blocks_a_row * traits.bytes_per_block),
        bytes(static_cast<std::size_t>(rows * row_bytes)) {
    CounterRng rng(static_cast<std::uint64_t>(halves.type), "blocks");
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(rng.below(256));
    for (std::size_t at = 0; at < bytes.size(); at += static_cast<std::size_t>(traits.bytes_per_block)) {
      set_half(bytes.data() + at + halves.d, static_cast<float>(rng.normal()));
      if (halves.dmin >= 0) set_half(bytes.data() + at + halves.dmin, static_cast<float>(rng.normal()));
    }
  }
  [[nodiscard]] std::span<const std::byte> row(std::int64_t r) const {
    return std::span(bytes).subspan(static_cast<std::size_t>(r * row_bytes), static_cast<std::size_t>(row_bytes));
  }
  [[nodiscard]] BlockRows view() const {
    return {traits.type, rows, cols, [this](std::int64_t r) { return row(r); }};
  }
};

TEST(PackedBlocks, EveryTypeKeepsEveryBit) {
  sys::ThreadPool pool(2);
  for (const Halves& halves : kTypes) {
    const Stored stored(halves, 37, 3);
    const Result<PackedWeight> weight = pack_blocks(stored.view(), pool);
    ASSERT_TRUE(weight.ok()) << to_string(weight.error());
    std::vector<float> expected(static_cast<std::size_t>(stored.cols));
    for (std::int64_t r = 0; r < stored.rows; ++r) {
      ASSERT_TRUE(codec::dequantize_gguf(halves.type, stored.row(r), expected).ok());
      for (std::int64_t k = 0; k < stored.cols; ++k)
        ASSERT_EQ(unpack_value(weight->view(), r, k), expected[static_cast<std::size_t>(k)])
            << stored.traits.name << " row " << r << " input " << k;
    }
  }
}

TEST(PackedBlocks, RefusesWhatIsNoNumberAndWhatIsNoBlock) {
  sys::ThreadPool pool(1);
  Stored stored(kTypes[8], 20, 2);
  const std::uint16_t infinity = 0x7c00;
  std::memcpy(stored.bytes.data() + 17 * stored.row_bytes, &infinity, sizeof infinity);
  const Result<PackedWeight> infinite = pack_blocks(stored.view(), pool);
  ASSERT_FALSE(infinite.ok());
  EXPECT_EQ(infinite.error().fault, Fault::corrupt);
  EXPECT_NE(to_string(infinite.error()).find("row 17"), std::string::npos);
  BlockRows odd = stored.view();
  odd.cols -= 32;
  EXPECT_EQ(pack_blocks(odd, pool).error().fault, Fault::unsupported);
  odd.type = GgmlType::f16;
  EXPECT_EQ(pack_blocks(odd, pool).error().fault, Fault::unsupported);
}

}  // namespace
}  // namespace quernel::kernels::packed
