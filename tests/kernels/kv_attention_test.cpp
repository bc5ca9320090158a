#include "kernels/kv_attention/kv_attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/int_rows/table.h"
#include "kernels/kernel_test.h"
#include "kernels/kv_attention/table.h"
#include "tensor/half.h"

namespace quernel::kernels::kv_attention {
namespace {

// Keys and values of some pages, a few queries, all with memory of their own.
struct Problem {
  std::int64_t head_dim, num_pages, num_queries;
  std::vector<float> keys, values, q;
  std::vector<std::vector<std::uint8_t>> bytes;  // keys and values of each page in turn
  std::vector<Page> pages;
  std::vector<std::int8_t> high, low;
  std::vector<Query> queries;
  std::int64_t first_position = 64;
  float soft_cap = 0.0F;
  std::int64_t window = 0;

  // bits: of each page in turn.
  Problem(std::int64_t head_dim_in, std::vector<int> bits, std::int64_t num_queries_in, double key_scale = 1.0)
      : head_dim(head_dim_in),
        num_pages(static_cast<std::int64_t>(bits.size())),
        num_queries(num_queries_in),
        keys(normal_values(num_pages * kPageTokens * head_dim, "keys", key_scale)),
        values(normal_values(num_pages * kPageTokens * head_dim, "values")),
        q(normal_values(num_queries * head_dim, "queries")) {
    for (std::int64_t p = 0; p < num_pages; ++p) add_page(p, bits[static_cast<std::size_t>(p)]);
    add_queries();
  }

  PageBytes new_page(int bits) {
    const PageLayout at = page_layout(head_dim, bits);
    bytes.emplace_back(static_cast<std::size_t>(at.key_bytes), std::uint8_t{0xAA});
    bytes.emplace_back(static_cast<std::size_t>(at.value_bytes), std::uint8_t{0xAA});
    return {bytes[bytes.size() - 2].data(), bytes.back().data()};
  }

  void add_page(std::int64_t p, int bits) {
    const int written = bits == 4 ? 8 : bits;
    PageBytes page = new_page(written);
    for (std::int64_t t = 0; t < kPageTokens; ++t) {
      const std::int64_t row = (p * kPageTokens + t) * head_dim;
      write_token(page, written, head_dim, t, keys.data() + row, values.data() + row);
    }
    if (bits == 4) {
      const PageBytes closed = new_page(4);
      close_page(page, head_dim, closed);
      page = closed;
    }
    pages.push_back({page, bits});
  }

  void add_queries() {
    const std::int64_t stride = (head_dim + 63) / 64 * 64;
    high.resize(static_cast<std::size_t>(num_queries * stride));
    low.resize(high.size());
    std::vector<std::int32_t> high_sums(static_cast<std::size_t>(stride / 16)), low_sums(high_sums.size());
    for (std::int64_t m = 0; m < num_queries; ++m) {
      Query query;
      query.values = q.data() + m * head_dim;
      query.high = high.data() + m * stride;
      query.low = low.data() + m * stride;
      float high_scale = 0;
      int_rows::variants().back().functions.split(query.values, head_dim, stride,
                                                  {high.data() + m * stride, high_sums.data(), &high_scale},
                                                  {low.data() + m * stride, low_sums.data(), &query.scale});
      for (const std::int32_t sum : high_sums) query.high_sum += sum;
      for (const std::int32_t sum : low_sums) query.low_sum += sum;
      query.position = first_position + (m * 37) % (num_pages * kPageTokens);
      queries.push_back(query);
    }
  }
};

struct Outcome {
  std::vector<float> max, sum, mixed;
};

Outcome run(Run kernel, const Problem& p, std::int64_t first = 0, std::int64_t count = -1) {
  if (count < 0) count = p.num_queries;
  const std::int64_t size = padded_dim(p.head_dim);
  std::vector<float> mixed(static_cast<std::size_t>(count * size), 77.0F);
  std::vector<Partial> partials;
  for (std::int64_t m = 0; m < count; ++m) partials.push_back({77.0F, 77.0F, mixed.data() + m * size});
  kernel({p.queries.data() + first, partials.data(), count, p.pages.data(), p.num_pages, nullptr, 0, p.first_position,
          p.head_dim, 1.0F / std::sqrt(static_cast<float>(p.head_dim)), p.soft_cap, p.window});
  Outcome out;
  out.mixed.resize(static_cast<std::size_t>(count * p.head_dim));
  for (std::int64_t m = 0; m < count; ++m) {
    const Partial& part = partials[static_cast<std::size_t>(m)];
    out.max.push_back(part.max);
    out.sum.push_back(part.sum);
    join(&part, 1, p.head_dim, out.mixed.data() + m * p.head_dim);
  }
  return out;
}

double largest_value(const Problem& p) {
  float largest = 0;
  for (const float v : p.values) largest = std::max(largest, std::fabs(v));
  return largest;
}

void expect_close(const Outcome& a, const Outcome& b, double bound, const std::string& what) {
  for (std::size_t i = 0; i < a.mixed.size(); ++i) ASSERT_NEAR(a.mixed[i], b.mixed[i], bound) << what << " " << i;
}

std::vector<std::vector<int>> mixes() { return {{8}, {4}, {16}, {8, 4, 4, 8}, {8, 8, 8, 8, 8}, {16, 16, 16}}; }

TEST(KvAttention, VariantsFollowTheFormula) {
  for (const std::int64_t head_dim : {8, 16, 24, 64, 72, 80, 128, 256})
    for (const auto& bits : mixes())
      for (const std::int64_t num_queries : {1, 3, 4, 9}) {
        Problem p(head_dim, bits, num_queries);
        for (const auto& [cap, window] : {std::pair<float, std::int64_t>{0.0F, 0}, {30.0F, 0}, {0.0F, 40}}) {
          p.soft_cap = cap;
          p.window = window;
          const Outcome expected = run(variants().back().run, p);
          for (const Variant& variant : variants()) {
            if (!sys::can_use(variant.isa)) continue;
            // |q| |k| is about head_dim here, scale its inverse root.
            const double bound =
                largest_value(p) * (0x1p-11 + (std::sqrt(static_cast<double>(head_dim)) * 8 + 64) * 0x1p-22);
            expect_close(run(variant.run, p), expected, bound,
                         std::string(variant.name) + " dim " + std::to_string(head_dim));
          }
        }
      }
}

TEST(KvAttention, VectorVariantsAgreeBitForBit) {
  for (const std::int64_t head_dim : {8, 64, 80, 128})
    for (const auto& bits : mixes()) {
      const Problem p(head_dim, bits, 7, 3.0);
      std::vector<Outcome> outcomes;
      for (const Variant& variant : variants())
        if (sys::can_use(variant.isa) && variant.isa != sys::Isa::scalar) outcomes.push_back(run(variant.run, p));
      for (std::size_t i = 1; i < outcomes.size(); ++i) {
        EXPECT_TRUE(same_bits(outcomes[0].mixed, outcomes[i].mixed)) << i << " dim " << head_dim << " bits " << bits[0];
        EXPECT_TRUE(same_bits(outcomes[0].max, outcomes[i].max) && same_bits(outcomes[0].sum, outcomes[i].sum));
      }
    }
}

TEST(KvAttention, EncodesTheSameBitsEverywhere) {
  for (std::int64_t size = 8; size <= 128; size += 8)
    for (const float most : {15.0F, 255.0F})
      for (const double scale : {1.0, 1e-6, 1e5, 0.0}) {
        std::vector<std::vector<float>> heads{normal_values(size, "head", scale), normal_values(size, "bad", scale)};
        heads[1].back() =
            size % 16 == 0 ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
        for (const std::vector<float>& head : heads) {
          Coded expected;
          variants().back().encode(head.data(), size, most, expected);
          for (const Variant& variant : variants()) {
            if (!sys::can_use(variant.isa)) continue;
            Coded coded;
            variant.encode(head.data(), size, most, coded);
            ASSERT_EQ(coded.scale, expected.scale) << variant.name << " " << size;
            ASSERT_EQ(coded.offset, expected.offset) << variant.name;
            ASSERT_EQ(std::memcmp(coded.codes, expected.codes, static_cast<std::size_t>(size)), 0)
                << variant.name << " " << size;
          }
        }
      }
}

TEST(KvAttention, ARowDependsOnItselfAlone) {
  const Problem p(64, {8, 4, 4, 8}, 11);
  const Outcome all = run(pick().run, p);
  for (std::int64_t m = 0; m < p.num_queries; ++m) {
    const Outcome alone = run(pick().run, p, m, 1);
    for (std::int64_t d = 0; d < p.head_dim; ++d)
      ASSERT_EQ(alone.mixed[static_cast<std::size_t>(d)], all.mixed[static_cast<std::size_t>(m * p.head_dim + d)]) << m;
  }
  // Pages after a query's position do not matter: neither their codes nor that they are there.
  Problem shorter(64, {8, 4, 4, 8}, 1);
  shorter.queries[0].position = shorter.first_position + 40;
  const Outcome with = run(pick().run, shorter);
  shorter.num_pages = 2;
  EXPECT_TRUE(same_bits(run(pick().run, shorter).mixed, with.mixed));
}

TEST(KvAttention, RunsJoinToTheWhole) {
  Problem p(64, {8, 8, 8, 8, 8, 8}, 3);
  for (Query& query : p.queries) query.position = p.first_position + 6 * kPageTokens - 1;
  const Outcome whole = run(variants().back().run, p);
  std::vector<float> mixed(static_cast<std::size_t>(3 * 2 * 64));
  std::vector<Partial> partials;
  for (std::int64_t i = 0; i < 6; ++i) partials.push_back({0, 0, mixed.data() + i * 64});
  for (std::int64_t part = 0; part < 2; ++part)
    pick().run({p.queries.data(), partials.data() + part * 3, 3, p.pages.data() + part * 3, 3, nullptr, 0,
                p.first_position + part * 96, 64, 0.125F});
  for (std::int64_t m = 0; m < 3; ++m) {
    const Partial both[2] = {partials[static_cast<std::size_t>(m)], partials[static_cast<std::size_t>(3 + m)]};
    std::vector<float> out(64);
    join(both, 2, 64, out.data());
    for (std::size_t d = 0; d < 64; ++d) ASSERT_NEAR(out[d], whole.mixed[static_cast<std::size_t>(m) * 64 + d], 2e-4);
  }
}

TEST(KvAttention, ExtremesShowOrVanish) {
  Problem p(64, {8, 8}, 2);
  // A constant head has scale 0: its value comes back whole.
  for (std::int64_t t = 0; t < kPageTokens; ++t) {
    const std::vector<float> constant(64, 2.5F);
    write_token(p.pages[0].bytes, 8, 64, t, constant.data(), constant.data());
    write_token(p.pages[1].bytes, 8, 64, t, constant.data(), constant.data());
  }
  for (const Variant& variant : variants()) {
    if (!sys::can_use(variant.isa)) continue;
    for (const float value : run(variant.run, p).mixed) ASSERT_NEAR(value, 2.5F, 1e-5) << variant.name;
  }
  // What is no number shows in what sees it, and only there.
  std::vector<float> bad(64, 1.0F);
  bad[3] = std::numeric_limits<float>::quiet_NaN();
  write_token(p.pages[1].bytes, 8, 64, 31, bad.data(), bad.data());
  p.queries[0].position = p.first_position + 63;
  p.queries[1].position = p.first_position + 62;
  for (const Variant& variant : variants()) {
    if (!sys::can_use(variant.isa)) continue;
    const Outcome out = run(variant.run, p);
    EXPECT_TRUE(std::isnan(out.mixed[0])) << variant.name;
    EXPECT_NEAR(out.mixed[64], 2.5F, 1e-5) << variant.name;
  }
  // A run that the query does not see at all.
  p.queries[0].position = p.first_position - 1;
  for (const Variant& variant : variants()) {
    if (!sys::can_use(variant.isa)) continue;
    const Outcome out = run(variant.run, p, 0, 1);
    EXPECT_EQ(out.max[0], -std::numeric_limits<float>::infinity());
    EXPECT_EQ(out.sum[0], 0.0F);
    EXPECT_EQ(out.mixed[5], 0.0F);
  }
}

}  // namespace
}  // namespace quernel::kernels::kv_attention
