#include "kernels/attention_float/attention_float.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/attention_float/table.h"
#include "kernels/kernel_test.h"
#include "tensor/matrix.h"

namespace quernel::kernels::attention_float {
namespace {

class Attention : public ::testing::TestWithParam<Variant> {};
INSTANTIATE_TEST_SUITE_P(Variants, Attention, ::testing::ValuesIn(variants().begin(), variants().end()),
                         test_name<Variant>);

struct Case {
  std::int64_t tokens, heads, keys, head_dim;
  std::int64_t window = 0;
  float soft_cap = 0.0F;
};

// A whole sequence: queries are its last `tokens` positions. Queries stand [token][head][dim] with gaps.
struct Sequence {
  Case shape;
  std::int64_t q_token_stride, key_stride;
  std::vector<float> q, keys, values;

  explicit Sequence(const Case& c, double spread = 1.0)
      : shape(c),
        q_token_stride(c.heads * c.head_dim + 3),
        key_stride(c.head_dim + 7),
        q(normal_values(c.tokens * q_token_stride, "q", spread)),
        keys(normal_values(c.keys * key_stride, "keys", spread)),
        values(normal_values(c.keys * key_stride, "values")) {}

  [[nodiscard]] float scale() const { return 1.0F / std::sqrt(static_cast<float>(shape.head_dim)); }
  [[nodiscard]] std::int64_t first_query() const { return shape.keys - shape.tokens; }
};

constexpr float kUntouched = 777.0F;

// Runs tokens first .. first + count - 1, with keys first_key .. end_key - 1, into their places of `out`.
void run_part(const Variant& variant, const Sequence& s, std::int64_t first, std::int64_t count, std::int64_t first_key,
              std::int64_t end_key, std::vector<float>& out) {
  const std::int64_t needed = scratch_floats(s.shape.head_dim, count, s.shape.heads);
  const auto scratch = allocate_aligned<float>(needed + 1);
  std::fill(scratch.get(), scratch.get() + needed, std::numeric_limits<float>::quiet_NaN());
  scratch[static_cast<std::size_t>(needed)] = kUntouched;
  Args args;
  args.q = s.q.data() + first * s.q_token_stride;
  args.q_token_stride = s.q_token_stride;
  args.q_head_stride = s.shape.head_dim;
  args.num_tokens = count;
  args.num_heads = s.shape.heads;
  args.first_query = s.first_query() + first;
  args.keys = s.keys.data() + first_key * s.key_stride;
  args.key_stride = s.key_stride;
  args.values = s.values.data() + first_key * s.key_stride;
  args.value_stride = s.key_stride;
  args.num_keys = end_key - first_key;
  args.first_key = first_key;
  args.head_dim = s.shape.head_dim;
  args.scale = s.scale();
  args.soft_cap = s.shape.soft_cap;
  args.window = s.shape.window;
  args.out = out.data() + first * s.q_token_stride;
  args.out_token_stride = s.q_token_stride;
  args.out_head_stride = s.shape.head_dim;
  args.scratch = scratch.get();
  variant.run(args);
  ASSERT_EQ(scratch[static_cast<std::size_t>(needed)], kUntouched) << "scratch was overrun";
}

std::vector<float> run_whole(const Variant& variant, const Sequence& s) {
  std::vector<float> out(s.q.size(), kUntouched);
  run_part(variant, s, 0, s.shape.tokens, 0, s.shape.keys, out);
  return out;
}

// The definition, written apart from the reference: weights of all keys first.
std::vector<double> expected_row(const Sequence& s, std::int64_t token, std::int64_t head) {
  const std::int64_t position = s.first_query() + token;
  const float* q = s.q.data() + token * s.q_token_stride + head * s.shape.head_dim;
  std::vector<double> weights(static_cast<std::size_t>(s.shape.keys), 0.0);
  double top = -INFINITY;
  for (const int pass : {0, 1})
    for (std::int64_t j = 0; j <= position; ++j) {
      if (s.shape.window > 0 && position - j >= s.shape.window) continue;
      double score = 0;
      for (std::int64_t d = 0; d < s.shape.head_dim; ++d)
        score += double{q[d]} * s.keys[static_cast<std::size_t>(j * s.key_stride + d)];
      score *= s.scale();
      if (s.shape.soft_cap > 0) score = s.shape.soft_cap * std::tanh(score / s.shape.soft_cap);
      if (pass == 0) top = std::fmax(top, score);
      if (pass == 1) weights[static_cast<std::size_t>(j)] = std::exp(score - top);
    }
  double total = 0;
  for (const double weight : weights) total += weight;
  std::vector<double> out(static_cast<std::size_t>(s.shape.head_dim), 0.0);
  for (std::int64_t j = 0; j <= position; ++j)
    for (std::size_t d = 0; d < out.size(); ++d)
      out[d] += weights[static_cast<std::size_t>(j)] / total * s.values[static_cast<std::size_t>(j * s.key_stride) + d];
  return out;
}

double norm(const float* x, std::int64_t size) {
  double squares = 0;
  for (std::int64_t d = 0; d < size; ++d) squares += double{x[d]} * x[d];
  return std::sqrt(squares);
}

double bound(const Sequence& s) {
  double q = 0;
  double k = 0;
  for (std::int64_t t = 0; t < s.shape.tokens * s.shape.heads; ++t)
    q = std::fmax(q, norm(s.q.data() + t / s.shape.heads * s.q_token_stride + t % s.shape.heads * s.shape.head_dim,
                          s.shape.head_dim));
  for (std::int64_t j = 0; j < s.shape.keys; ++j)
    k = std::fmax(k, norm(s.keys.data() + j * s.key_stride, s.shape.head_dim));
  double v = 0;
  for (const float value : s.values) v = std::fmax(v, std::fabs(value));
  const auto dim = static_cast<double>(s.shape.head_dim);
  return (dim * q * k * s.scale() + static_cast<double>(s.shape.keys) / 16 + 32) * 0x1.0p-24 * v;
}

void check(const Variant& variant, const Sequence& s) {
  const std::vector<float> out = run_whole(variant, s);
  const double tolerance = bound(s);
  for (std::int64_t t = 0; t < s.shape.tokens; ++t) {
    for (std::int64_t h = 0; h < s.shape.heads; ++h) {
      const std::vector<double> expected = expected_row(s, t, h);
      for (std::size_t d = 0; d < expected.size(); ++d)
        ASSERT_NEAR(out[static_cast<std::size_t>(t * s.q_token_stride + h * s.shape.head_dim) + d], expected[d],
                    tolerance)
            << variant.name << " token " << t << " head " << h << " dim " << d << " keys " << s.shape.keys
            << " head_dim " << s.shape.head_dim;
    }
    for (std::int64_t gap = s.shape.heads * s.shape.head_dim; gap < s.q_token_stride; ++gap)
      ASSERT_EQ(out[static_cast<std::size_t>(t * s.q_token_stride + gap)], kUntouched);
  }
}

TEST_P(Attention, MatchesTheDefinitionForEveryLength) {
  QUERNEL_SKIP_UNUSABLE(GetParam());
  for (std::int64_t keys = 1; keys <= 130; ++keys) check(GetParam(), Sequence({1 + keys / 3, 1 + keys % 4, keys, 16}));
}

TEST_P(Attention, MatchesTheDefinitionForEveryHeadSize) {
  QUERNEL_SKIP_UNUSABLE(GetParam());
  for (std::int64_t head_dim = 1; head_dim <= 130; head_dim += head_dim < 20 ? 1 : 7)
    check(GetParam(), Sequence({5, 3, 70, head_dim}));
  check(GetParam(), Sequence({7, 2, 200, 256}));
  check(GetParam(), Sequence({3, 1, 70, 320}));
}

TEST_P(Attention, WindowsAndSoftCaps) {
  QUERNEL_SKIP_UNUSABLE(GetParam());
  for (const std::int64_t window : {1, 2, 5, 63, 64, 65, 100, 500}) {
    check(GetParam(), Sequence({40, 3, 150, 24, window}));
    check(GetParam(), Sequence({150, 2, 150, 24, window, 2.0F}));
  }
  check(GetParam(), Sequence({40, 3, 150, 64, 0, 50.0F}));
}

TEST_P(Attention, SharpScores) {
  QUERNEL_SKIP_UNUSABLE(GetParam());
  check(GetParam(), Sequence({60, 2, 130, 64}, 12.0));  // one key takes nearly all the weight
  check(GetParam(), Sequence({60, 2, 130, 64}, 0.0));   // all keys weigh the same
}

// Any way to cut the queries into calls, with only the keys that exist then, gives the same bits.
TEST_P(Attention, ChunksDoNotChangeABit) {
  QUERNEL_SKIP_UNUSABLE(GetParam());
  for (const Case& shape : {Case{200, 3, 200, 64}, Case{150, 2, 260, 40, 70}, Case{100, 1, 100, 80, 33, 20.0F}}) {
    const Sequence s(shape);
    const std::vector<float> whole = run_whole(GetParam(), s);
    for (const std::int64_t chunk : {1, 7, 64, 99}) {
      std::vector<float> out(s.q.size(), kUntouched);
      for (std::int64_t first = 0; first < shape.tokens; first += chunk) {
        const std::int64_t count = std::min(chunk, shape.tokens - first);
        const std::int64_t position = s.first_query() + first;
        const std::int64_t first_key = shape.window > 0 ? std::max<std::int64_t>(0, position - shape.window + 1) : 0;
        run_part(GetParam(), s, first, count, first_key, position + count, out);
      }
      EXPECT_TRUE(same_bits(whole, out)) << GetParam().name << " chunk " << chunk;
    }
  }
}

TEST_P(Attention, HeadsDoNotKnowEachOther) {
  QUERNEL_SKIP_UNUSABLE(GetParam());
  const Sequence s({20, 5, 90, 32});
  const std::vector<float> whole = run_whole(GetParam(), s);
  Sequence one({20, 1, 90, 32});
  one.keys = s.keys;
  one.values = s.values;
  for (std::int64_t h = 0; h < 5; ++h) {
    for (std::int64_t t = 0; t < 20; ++t)
      std::copy_n(s.q.data() + t * s.q_token_stride + h * 32, 32, one.q.data() + t * one.q_token_stride);
    const std::vector<float> alone = run_whole(GetParam(), one);
    for (std::int64_t t = 0; t < 20; ++t)
      for (std::int64_t d = 0; d < 32; ++d)
        ASSERT_EQ(alone[static_cast<std::size_t>(t * one.q_token_stride + d)],
                  whole[static_cast<std::size_t>(t * s.q_token_stride + h * 32 + d)]);
  }
}

TEST(AttentionLevels, VectorVariantsAgreeBitForBit) {
  std::vector<Variant> usable;
  for (const Variant& variant : variants())
    if (variant.isa != sys::Isa::scalar && sys::can_use(variant.isa)) usable.push_back(variant);
  if (usable.size() < 2) GTEST_SKIP() << "fewer than two vector levels on this CPU";
  for (const Case& shape : {Case{70, 3, 150, 64}, Case{9, 2, 77, 37, 20, 10.0F}}) {
    const Sequence s(shape);
    for (const Variant& other : usable)
      EXPECT_TRUE(same_bits(run_whole(usable[0], s), run_whole(other, s))) << other.name;
  }
}

}  // namespace
}  // namespace quernel::kernels::attention_float
