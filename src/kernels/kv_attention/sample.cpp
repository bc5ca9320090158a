#include "kernels/kv_attention/sample.h"

#include <cmath>
#include <cstring>

#include "tensor/half.h"

namespace quernel::kernels::kv_attention {
namespace {

void put_halves(std::uint8_t* to, std::int64_t count, CounterRng& rng, float least, float most) {
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint16_t half = float_to_f16(least + (most - least) * static_cast<float>(rng.uniform()));
    std::memcpy(to + 2 * i, &half, sizeof half);
  }
}

void put_params(std::uint8_t* to, CounterRng& rng) {
  put_halves(to, kPageTokens, rng, 0.0F, 1.0F / 64.0F);  // scales are never negative
  put_halves(to + 2 * kPageTokens, kPageTokens, rng, -2.0F, 2.0F);
}

}  // namespace

// Not by write_token(), which asks for the variant that may just be chosen.
SamplePage::SamplePage(std::int64_t head_dim, int bits, CounterRng& rng) {
  const PageLayout at = page_layout(head_dim, bits);
  keys.resize(static_cast<std::size_t>(at.key_bytes));
  values.resize(static_cast<std::size_t>(at.value_bytes));
  page = {{keys.data(), values.data()}, bits};
  if (bits == 16) {
    put_halves(keys.data(), at.key_bytes / 2, rng, -2.0F, 2.0F);
    put_halves(values.data(), at.value_bytes / 2, rng, -2.0F, 2.0F);
    return;
  }
  for (std::vector<std::uint8_t>* part : {&keys, &values})
    for (std::uint8_t& byte : *part) byte = static_cast<std::uint8_t>(rng.below(256));
  put_params(keys.data() + at.key_params, rng);
  put_params(values.data() + at.value_params, rng);
  if (bits == 4) put_halves(keys.data() + at.centers, head_dim, rng, -2.0F, 2.0F);
}

SampleQueries::SampleQueries(std::int64_t count, std::int64_t head_dim, std::int64_t first_position,
                             std::int64_t positions, CounterRng& rng)
    : values(static_cast<std::size_t>(count * kMaxHeadDim)),
      high(values.size()),
      low(values.size()),
      queries(static_cast<std::size_t>(count)) {
  for (std::size_t m = 0; m < queries.size(); ++m) {
    const std::size_t at = m * kMaxHeadDim;
    Query& query = queries[m];
    query = {values.data() + at, high.data() + at, low.data() + at, 0x1p-14F, 0, 0, 0};
    query.position = first_position + static_cast<std::int64_t>(m + 1) * positions / count - 1;
    for (std::size_t i = at; i < at + static_cast<std::size_t>(head_dim); ++i) {
      high[i] = static_cast<std::int8_t>(static_cast<int>(rng.below(255)) - 127);
      low[i] = static_cast<std::int8_t>(static_cast<int>(rng.below(255)) - 127);
      values[i] = query.scale * static_cast<float>(255 * high[i] + low[i]);
      query.high_sum += high[i];
      query.low_sum += low[i];
    }
  }
}

std::vector<float> attend(Run run, std::span<const Query> queries, std::span<const Page> pages, const SampleRun& how) {
  const std::int64_t size = padded_dim(how.head_dim);
  const auto count = static_cast<std::int64_t>(queries.size());
  std::vector<float> mixed(static_cast<std::size_t>(count * size));
  std::vector<Partial> partials;
  for (std::int64_t m = 0; m < count; ++m) partials.push_back({0.0F, 0.0F, mixed.data() + m * size});
  run({queries.data(), partials.data(), count, pages.data(), static_cast<std::int64_t>(pages.size()), nullptr, 0,
       how.first_position, how.head_dim, 1.0F / std::sqrt(static_cast<float>(how.head_dim)), how.soft_cap, how.window});
  std::vector<float> out(static_cast<std::size_t>(count * how.head_dim));
  for (std::int64_t m = 0; m < count; ++m)
    join(&partials[static_cast<std::size_t>(m)], 1, how.head_dim, out.data() + m * how.head_dim);
  return out;
}

double sample_bound(std::int64_t head_dim) {
  // |v| < 8, |q||k| / sqrt(D) <= 16 sqrt(D).
  return 8 * (0x1p-9 + (16 * std::sqrt(static_cast<double>(head_dim)) + 64) * 0x1p-22);
}

}  // namespace quernel::kernels::kv_attention
