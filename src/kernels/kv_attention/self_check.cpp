#include "kernels/kv_attention/self_check.h"

#include <array>
#include <cmath>
#include <cstring>
#include <span>
#include <vector>

#include "kernels/kv_attention/sample.h"

namespace quernel::kernels::kv_attention {
namespace {

bool attention_agrees(const Variant& variant, const Variant& reference, std::int64_t head_dim,
                      std::span<const int> bits, CounterRng& rng) {
  std::vector<SamplePage> samples;
  std::vector<Page> pages;
  for (const int of_page : bits) samples.emplace_back(head_dim, of_page, rng);
  for (const SamplePage& sample : samples) pages.push_back(sample.page);
  SampleRun how{.head_dim = head_dim, .first_position = 96};
  const SampleQueries queries(5, head_dim, how.first_position, static_cast<std::int64_t>(pages.size()) * kPageTokens,
                              rng);
  for (const std::int64_t window : {0, 20}) {
    how.window = window;
    const std::vector<float> expected = attend(reference.run, queries.queries, pages, how);
    const std::vector<float> found = attend(variant.run, queries.queries, pages, how);
    for (std::size_t i = 0; i < found.size(); ++i)
      if (!(std::fabs(found[i] - expected[i]) <= sample_bound(head_dim))) return false;
  }
  return true;
}

bool codes_agree(const Variant& variant, const Variant& reference, CounterRng& rng) {
  std::array<float, 72> head;
  for (float& value : head) value = static_cast<float>(rng.normal());
  for (const float most : {15.0F, 255.0F})
    for (const std::int64_t size : {8, 16, 72}) {
      Coded found, expected;
      variant.encode(head.data(), size, most, found);
      reference.encode(head.data(), size, most, expected);
      const bool same = found.scale == expected.scale && found.offset == expected.offset &&
                        std::memcmp(found.codes, expected.codes, static_cast<std::size_t>(size)) == 0;
      if (!same) return false;
    }
  return true;
}

}  // namespace

bool follows_reference(const Variant& variant, const Variant& reference) {
  CounterRng rng(1, "self check");
  static constexpr std::array<int, 3> kMixed{8, 4, 8};
  static constexpr std::array<int, 2> kHalves{16, 16};
  if (!codes_agree(variant, reference, rng)) return false;
  for (const std::int64_t head_dim : {24, 64, 128})
    if (!attention_agrees(variant, reference, head_dim, kMixed, rng) ||
        !attention_agrees(variant, reference, head_dim, kHalves, rng))
      return false;
  return true;
}

}  // namespace quernel::kernels::kv_attention
