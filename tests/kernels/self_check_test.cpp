// A fault in a kernel is noticed before it is used: by the check at the choice of a variant, which then takes the next one and says so.
#include "kernels/hadamard/self_check.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <vector>

#include "kernels/int_rows/self_check.h"
#include "kernels/kernel_test.h"
#include "kernels/kv_attention/self_check.h"
#include "kernels/packed/self_check.h"
#include "kernels/packed_emulated.h"
#include "sys/sound_variant.h"

namespace quernel::kernels {
namespace {

template <class T>
void flip_last_bit(T& value) {
  std::array<unsigned char, sizeof(T)> bytes;
  std::memcpy(bytes.data(), &value, sizeof value);
  bytes[0] ^= 1U;
  std::memcpy(&value, bytes.data(), sizeof value);
}

TEST(SelfCheck, EveryVariantOfThisMachinePasses) {
  for (const packed::Variant& v : packed::variants()) {
    if (sys::can_use(v.isa)) {
      EXPECT_TRUE(packed::gives_reference_bits(v, packed::variants().back().few)) << v.name;
    }
  }
  for (const int_rows::Variant& v : int_rows::variants()) {
    if (sys::can_use(v.isa)) {
      EXPECT_TRUE(int_rows::gives_reference_bits(v.functions, int_rows::variants().back().functions)) << v.name;
    }
  }
  for (const hadamard::Variant& v : hadamard::variants()) {
    if (sys::can_use(v.isa)) {
      EXPECT_TRUE(hadamard::gives_reference_bits(v.transform, hadamard::variants().back().transform)) << v.name;
    }
  }
  for (const kv_attention::Variant& v : kv_attention::variants()) {
    if (sys::can_use(v.isa)) {
      EXPECT_TRUE(kv_attention::follows_reference(v, kv_attention::variants().back())) << v.name;
    }
  }
}

// ---- packed

void right_product(const packed::Args& args) noexcept { packed::variants().back().few(args); }

void one_bit_off(const packed::Args& args) noexcept {
  right_product(args);
  const std::int64_t row = args.x.num_rows - 1;
  if (args.end_panel == args.weight.panels()) flip_last_bit(args.out[row * args.out_stride + args.weight.rows - 1]);
}

void writes_past_the_end(const packed::Args& args) noexcept {
  right_product(args);
  args.out[args.weight.rows] = 0.0F;
}

// Inputs behind the last whole tile do not count.
void forgets_the_tail(const packed::Args& args) noexcept {
  packed::Args shorter = args;
  std::vector<std::int8_t> codes(args.x.codes, args.x.codes + args.x.num_rows * args.x.stride);
  const std::int64_t whole = args.weight.cols / packed::kTileInputs * packed::kTileInputs;
  for (std::int64_t m = 0; m < args.x.num_rows; ++m)
    std::fill(codes.begin() + m * args.x.stride + whole, codes.begin() + (m + 1) * args.x.stride, std::int8_t{0});
  shorter.x.codes = codes.data();
  right_product(shorter);
}

// The scale of the first row for all: right where there is one.
void mixes_up_rows(const packed::Args& args) noexcept {
  const std::vector<float> scales(static_cast<std::size_t>(args.x.num_rows), args.x.scales[0]);
  packed::Args mixed = args;
  mixed.x.scales = scales.data();
  right_product(mixed);
}

TEST(SelfCheck, FaultsOfProductsAreNoticed) {
  const packed::Run reference = packed::variants().back().few;
  const auto passes = [&](packed::Run few, packed::Run many) {
    return packed::gives_reference_bits({sys::Isa::scalar, "packed/test", few, many, 0, 0, nullptr, nullptr},
                                        reference);
  };
  EXPECT_TRUE(passes(right_product, right_product));
  const std::pair<const char*, packed::Run> faults[] = {{"one bit off", one_bit_off},
                                                        {"writes past the end", writes_past_the_end},
                                                        {"forgets the tail", forgets_the_tail},
                                                        {"mixes up rows", mixes_up_rows}};
  for (const auto& [name, fault] : faults) {
    EXPECT_FALSE(passes(fault, nullptr)) << name;
    EXPECT_FALSE(passes(right_product, fault)) << name;
  }
}

#ifdef QUERNEL_EMULATED_TILES
// The code is right and the unit beneath it is not.
TEST(SelfCheck, FaultsOfTilesAreNoticed) {
  if (!sys::can_use(sys::Isa::avx512_vnni)) GTEST_SKIP() << "unpacking takes AVX-512 VNNI";
  const packed::Run reference = packed::variants().back().few;
  const packed::Variant tiles{
      sys::Isa::amx, "packed/emulated", reference, packed::many_on_emulated_tiles, 0, 0, nullptr, nullptr};
  EXPECT_TRUE(packed::gives_reference_bits(tiles, reference));
  for (const simd::TileFault fault :
       {simd::TileFault::pairs_of_16_bits, simd::TileFault::lost_quad, simd::TileFault::signed_weights}) {
    packed::break_tiles(fault);
    EXPECT_FALSE(packed::gives_reference_bits(tiles, reference)) << static_cast<int>(fault);
  }
  packed::break_tiles(simd::TileFault::none);
}
#endif

// ---- the other families

void wrong_sum(const float* x, std::int64_t size, std::int64_t stride, const int_rows::Row& out) noexcept {
  int_rows::variants().back().functions.quantize(x, size, stride, out);
  ++out.sums[stride / 16 - 1];
}

void wrong_tie(const float* x, std::int64_t size, std::int64_t stride, const int_rows::Row& high,
               const int_rows::Row& low) noexcept {
  int_rows::variants().back().functions.split(x, size, stride, high, low);
  if (low.codes[size - 1] != 0) low.codes[size - 1] = static_cast<std::int8_t>(low.codes[size - 1] - 1);
}

TEST(SelfCheck, FaultsOfRowsAreNoticed) {
  const int_rows::Functions reference = int_rows::variants().back().functions;
  EXPECT_FALSE(int_rows::gives_reference_bits({wrong_sum, reference.split}, reference));
  EXPECT_FALSE(int_rows::gives_reference_bits({reference.quantize, wrong_tie}, reference));
}

void wrong_butterfly(const hadamard::Plan& plan, float* row, float* scratch) noexcept {
  hadamard::variants().back().transform(plan, row, scratch);
  flip_last_bit(row[plan.blocks * plan.core * plan.power - 1]);
}

TEST(SelfCheck, FaultsOfTransformsAreNoticed) {
  EXPECT_FALSE(hadamard::gives_reference_bits(wrong_butterfly, hadamard::variants().back().transform));
}

// What a query may see is off by one position: the first one of a window, or the last.
template <int kLast>
void wrong_sight(const kv_attention::Args& args) noexcept {
  kv_attention::Args wrong = args;
  std::vector<kv_attention::Query> queries(args.queries, args.queries + args.num_queries);
  if (kLast != 0)
    for (kv_attention::Query& query : queries) --query.position;
  else if (wrong.window > 0)
    ++wrong.window;
  wrong.queries = queries.data();
  kv_attention::variants().back().run(wrong);
}

void wrong_code(const float* x, std::int64_t size, float most, kv_attention::Coded& out) noexcept {
  kv_attention::variants().back().encode(x, size, most, out);
  out.codes[size - 1] ^= 1U;
}

TEST(SelfCheck, FaultsOfAttentionAreNoticed) {
  const kv_attention::Variant& reference = kv_attention::variants().back();
  EXPECT_TRUE(kv_attention::follows_reference(reference, reference));
  EXPECT_FALSE(kv_attention::follows_reference({reference.isa, "a", wrong_sight<0>, reference.encode}, reference));
  EXPECT_FALSE(kv_attention::follows_reference({reference.isa, "b", wrong_sight<1>, reference.encode}, reference));
  EXPECT_FALSE(kv_attention::follows_reference({reference.isa, "c", reference.run, wrong_code}, reference));
}

// ---- the choice

struct Candidate {
  sys::Isa isa;
  const char* name;
  bool works;
};

TEST(SelfCheck, TheNextOneIsTakenAndTheFaultyOneNamed) {
  static constexpr std::array<Candidate, 4> kAll{{{sys::Isa::scalar, "test/best", false},
                                                  {sys::Isa::scalar, "test/second", true},
                                                  {sys::Isa::scalar, "test/third", true},
                                                  {sys::Isa::scalar, "test/reference", false}}};
  const auto works = [](const Candidate& candidate) { return candidate.works; };
  EXPECT_EQ(&sys::first_sound(std::span<const Candidate>(kAll), works), &kAll[1]);
  EXPECT_EQ(sys::distrusted_kernels(), std::vector<std::string>{"test/best"});
  // The reference is what there is when all else fails.
  const auto nothing_works = [](const Candidate&) { return false; };
  EXPECT_EQ(&sys::first_sound(std::span<const Candidate>(kAll).last(2), nothing_works), &kAll[3]);
}

}  // namespace
}  // namespace quernel::kernels
