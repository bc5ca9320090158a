#include "kernels/packed/self_check.h"

#include <cstring>

#include "kernels/packed/sample.h"

namespace quernel::kernels::packed {
namespace {

constexpr std::int64_t kOutputs = 33;
constexpr std::int64_t kInputs = 130;
constexpr std::int64_t kPanels = 3;

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

bool agree(const Variant& variant, Run reference, const WeightView& weight, const RowsView& x) {
  const std::vector<float> expected = run_entry(reference, weight, x, 0, kPanels);
  if (!same_bits(run_entry(variant.few, weight, x, 0, kPanels), expected)) return false;
  return variant.many == nullptr || same_bits(run_entry(variant.many, weight, x, 0, kPanels), expected);
}

}  // namespace

bool gives_reference_bits(const Variant& variant, Run reference) {
  CounterRng rng(1, "self check");
  for (const Kind& kind : kinds())
    for (const Data data : {Data::random, Data::alternating}) {
      const std::int64_t group_size = has_super(kind.groups) || data == Data::alternating ? 32 : 64;
      const Result<PackedWeight> weight = sample_weight(kind, kOutputs, kInputs, group_size, data, rng);
      if (!weight.ok()) return true;
      for (const std::int64_t rows : {1, 3, 18}) {
        const SampleRows x(rows, kInputs, group_size, data, rng);
        if (!agree(variant, reference, weight->view(), x.view)) return false;
      }
    }
  return true;
}

}  // namespace quernel::kernels::packed
