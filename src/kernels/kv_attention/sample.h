// Pages and queries on which variants are compared: by the check before a variant is used and by the campaign of random cases.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/rng.h"
#include "kernels/kv_attention/kv_attention.h"

namespace quernel::kernels::kv_attention {

// Any codes; scales up to 1 / 64, offsets and centers up to 2: keys and values stay below 8.
struct SamplePage {
  std::vector<std::uint8_t> keys, values;
  Page page;

  SamplePage(std::int64_t head_dim, int bits, CounterRng& rng);
};

// Queries up to 2 that are exactly what their parts say; the first sees the first of `positions`, the last one all.
struct SampleQueries {
  std::vector<float> values;
  std::vector<std::int8_t> high, low;
  std::vector<Query> queries;

  SampleQueries(std::int64_t count, std::int64_t head_dim, std::int64_t first_position, std::int64_t positions,
                CounterRng& rng);
};

struct SampleRun {
  std::int64_t head_dim = 0;
  std::int64_t first_position = 0;  // of the pages
  std::int64_t window = 0;
  float soft_cap = 0.0F;
};
// [queries, head_dim]
std::vector<float> attend(Run run, std::span<const Query> queries, std::span<const Page> pages, const SampleRun& how);
// How far a variant may be from the reference on such samples (kv_attention.h, Error).
double sample_bound(std::int64_t head_dim);

}  // namespace quernel::kernels::kv_attention
