// Random cases without end: every variant of the integer runtime's kernels on this machine against its reference, on shapes, kinds and data
// that nobody chose.
//
// Usage    quernel_kernels_campaign [--seconds 60] [--seed 1]; a case is one output (or code) that was compared
// Exit     0: all agree; 1: one did not: its seed, kind and sizes are printed, --seed makes it again
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/checked.h"
#include "kernels/hadamard/table.h"
#include "kernels/int_rows/table.h"
#include "kernels/kv_attention/sample.h"
#include "kernels/kv_attention/table.h"
#include "kernels/packed/sample.h"
#include "kernels/packed/table.h"
#include "sys/cpu.h"
#include "tensor/hadamard.h"

namespace quernel::kernels {
namespace {

using Clock = std::chrono::steady_clock;

struct Counts {
  std::int64_t packed = 0, attention = 0, rows = 0, transforms = 0;
};

[[noreturn]] void differ(const char* variant, std::uint64_t seed, const std::string& what) {
  fmt::print("{} differs from the reference: seed {}, {}\n", variant, seed, what);
  std::exit(1);
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

std::int64_t between(CounterRng& rng, std::int64_t least, std::int64_t most) {
  return least + static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(most - least + 1)));
}

// Small as often as large.
std::int64_t size_of(CounterRng& rng, std::int64_t most) {
  return between(rng, 1, rng.below(2) == 0 ? std::min<std::int64_t>(most, 20) : most);
}

template <class T>
const T& any_of(CounterRng& rng, const std::vector<T>& all) {
  return all[rng.below(all.size())];
}

std::int64_t compare_packed(std::uint64_t seed) {
  CounterRng rng(seed, "campaign packed");
  static const std::vector<packed::Kind> kAllKinds = packed::kinds();
  const packed::Kind& kind = any_of(rng, kAllKinds);
  const packed::Data data = packed::kAllData[rng.below(4)];
  const packed::Data row_data = packed::kAllData[rng.below(4)];
  const std::int64_t outputs = size_of(rng, 130);
  const std::int64_t inputs = size_of(rng, 1500);
  const std::int64_t rows = size_of(rng, 130);
  const std::int64_t group = packed::has_super(kind.groups)
                                 ? any_of(rng, std::vector<std::int64_t>{16, 32})
                                 : any_of(rng, std::vector<std::int64_t>{16, 32, 64, 128, 192, 256, -1});
  const packed::PackedWeight weight = std::move(packed::sample_weight(kind, outputs, inputs, group, data, rng)).value();
  const packed::SampleRows x(rows, inputs, weight.view().group_size, row_data, rng);
  const std::int64_t panels = weight.view().panels();
  const std::int64_t first = between(rng, 0, panels - 1);
  const std::int64_t end = between(rng, first + 1, panels);
  const auto run = [&](packed::Run entry) { return packed::run_entry(entry, weight.view(), x.view, first, end); };
  const std::vector<float> expected = run(packed::variants().back().few);
  std::int64_t cases = 0;
  for (const packed::Variant& variant : packed::variants()) {
    if (!sys::can_use(variant.isa)) continue;
    for (const packed::Run entry : {variant.few, variant.many}) {
      if (entry == nullptr || entry == packed::variants().back().few) continue;
      if (!same_bits(run(entry), expected))
        differ(variant.name, seed,
               fmt::format("{}, codes {}, groups {} of {}, {} outputs, {} inputs, {} rows, panels {} to {}",
                           entry == variant.many ? "many" : "few", static_cast<int>(kind.codes),
                           static_cast<int>(kind.groups), group, outputs, inputs, rows, first, end));
      cases += rows * (std::min(outputs, end * packed::kPanelOutputs) - first * packed::kPanelOutputs);
    }
  }
  return cases;
}

std::int64_t compare_attention(std::uint64_t seed) {
  CounterRng rng(seed, "campaign attention");
  const std::int64_t head_dim = 8 * between(rng, 1, rng.below(4) == 0 ? 32 : 16);
  const bool halves = rng.below(4) == 0;
  std::vector<kv_attention::SamplePage> samples;
  std::vector<kv_attention::Page> pages;
  const std::int64_t num_pages = between(rng, 1, kv_attention::kMaxRunPages);
  for (std::int64_t p = 0; p < num_pages; ++p)
    samples.emplace_back(head_dim, halves ? 16 : any_of(rng, std::vector<int>{4, 8}), rng);
  for (const auto& sample : samples) pages.push_back(sample.page);
  kv_attention::SampleRun how{.head_dim = head_dim, .first_position = 32 * between(rng, 0, 100)};
  if (rng.below(3) == 0) how.window = between(rng, 1, 300);
  if (rng.below(4) == 0) how.soft_cap = 20.0F;
  const kv_attention::SampleQueries queries(size_of(rng, 40), head_dim, how.first_position, 32 * num_pages, rng);
  const auto run = [&](kv_attention::Run entry) { return attend(entry, queries.queries, pages, how); };
  const std::vector<float> reference = run(kv_attention::variants().back().run);
  std::vector<float> first;
  std::int64_t cases = 0;
  for (const kv_attention::Variant& variant : kv_attention::variants()) {
    if (!sys::can_use(variant.isa) || variant.isa == sys::Isa::scalar) continue;
    const std::vector<float> found = run(variant.run);
    bool agrees = first.empty() || same_bits(found, first);
    for (std::size_t i = 0; i < found.size(); ++i)
      agrees &= std::fabs(found[i] - reference[i]) <= kv_attention::sample_bound(head_dim);
    if (!agrees)
      differ(variant.name, seed,
             fmt::format("heads of {}, {} pages from {}, {} queries, window {}, cap {}", head_dim, num_pages,
                         how.first_position, queries.queries.size(), how.window, how.soft_cap));
    cases += static_cast<std::int64_t>(found.size());
    if (first.empty()) first = found;
  }
  return cases;
}

std::vector<float> any_row(CounterRng& rng, std::int64_t size) {
  std::vector<float> x(static_cast<std::size_t>(size));
  const double scale = std::ldexp(1.0, static_cast<int>(between(rng, -140, 100)));
  for (float& value : x) value = static_cast<float>(rng.normal() * scale);
  if (rng.below(4) == 0) x[rng.below(x.size())] *= 1e4F;
  if (rng.below(8) == 0)
    for (float& value : x) value = std::nearbyint(value / static_cast<float>(scale)) * 0.5F;  // ties
  return x;
}

std::int64_t compare_rows(std::uint64_t seed) {
  CounterRng rng(seed, "campaign rows");
  const std::int64_t size = size_of(rng, 3000);
  const std::int64_t stride = ceil_div(size, std::int64_t{64}) * 64;
  const std::vector<float> x = any_row(rng, size);
  struct Out {
    std::vector<std::int8_t> codes[3];
    std::vector<std::int32_t> sums[3];
    float scales[3] = {};
    bool operator==(const Out& other) const {
      for (int i = 0; i < 3; ++i)
        if (codes[i] != other.codes[i] || sums[i] != other.sums[i]) return false;
      return std::memcmp(scales, other.scales, sizeof scales) == 0;
    }
  };
  const auto run = [&](const int_rows::Functions& functions) {
    Out out;
    int_rows::Row rows[3];
    for (int i = 0; i < 3; ++i) {
      out.codes[i].resize(static_cast<std::size_t>(stride), 99);
      out.sums[i].resize(static_cast<std::size_t>(stride / 16), 99);
      rows[i] = {out.codes[i].data(), out.sums[i].data(), &out.scales[i]};
    }
    functions.quantize(x.data(), size, stride, rows[0]);
    functions.split(x.data(), size, stride, rows[1], rows[2]);
    return out;
  };
  const Out expected = run(int_rows::variants().back().functions);
  std::int64_t cases = 0;
  for (const int_rows::Variant& variant : int_rows::variants()) {
    if (!sys::can_use(variant.isa) || variant.isa == sys::Isa::scalar) continue;
    if (!(run(variant.functions) == expected)) differ(variant.name, seed, fmt::format("{} floats", size));
    cases += 3 * size;
  }
  return cases;
}

std::int64_t compare_transforms(std::uint64_t seed) {
  CounterRng rng(seed, "campaign transforms");
  const Hadamard transform(4 * between(rng, 1, 600));
  const std::vector<float> signs(transform.core_signs().begin(), transform.core_signs().end());
  const std::int64_t blocks = between(rng, 1, 3);
  const hadamard::Plan plan{blocks, transform.core_size(), transform.power(), signs.data(),
                            1.0F / std::sqrt(static_cast<float>(transform.block_size()))};
  const std::vector<float> x = any_row(rng, blocks * transform.block_size());
  const auto run = [&](hadamard::Transform entry) {
    std::vector<float> row = x;
    std::vector<float> scratch(static_cast<std::size_t>(transform.block_size()));
    entry(plan, row.data(), scratch.data());
    return row;
  };
  const std::vector<float> expected = run(hadamard::variants().back().transform);
  std::int64_t cases = 0;
  for (const hadamard::Variant& variant : hadamard::variants()) {
    if (!sys::can_use(variant.isa) || variant.isa == sys::Isa::scalar) continue;
    if (!same_bits(run(variant.transform), expected))
      differ(variant.name, seed, fmt::format("{} blocks of {}", blocks, transform.block_size()));
    cases += static_cast<std::int64_t>(x.size());
  }
  return cases;
}

void run_campaign(std::uint64_t seed, double seconds) {
  const Clock::time_point start = Clock::now();
  Counts counts;
  std::uint64_t next = seed;
  for (; std::chrono::duration<double>(Clock::now() - start).count() < seconds; ++next) {
    counts.packed += compare_packed(next);
    counts.attention += compare_attention(next);
    counts.rows += compare_rows(next);
    counts.transforms += compare_transforms(next);
  }
  fmt::print(
      "{}\nseeds {} to {}, all agree: {} outputs of packed, {} of kv_attention, {} of int_rows, {} of hadamard\n",
      sys::cpu_description(), seed, next - 1, counts.packed, counts.attention, counts.rows, counts.transforms);
}

}  // namespace
}  // namespace quernel::kernels

int main(int argc, char** argv) {
  const auto option = [&](const std::string& name, double fallback) {
    for (int i = 1; i + 1 < argc; ++i)
      if (name == argv[i]) return std::atof(argv[i + 1]);
    return fallback;
  };
  quernel::kernels::run_campaign(static_cast<std::uint64_t>(option("--seed", 1)), option("--seconds", 60));
}
