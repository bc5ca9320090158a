// The definition, row by row in double precision, in two passes over the keys (no scratch). The judge of the other variants,
// and the one that runs where no other does.
#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/attention_float/entries.h"

namespace quernel::kernels::attention_float::reference {

namespace {

double score(const Args& args, const float* q, std::int64_t position) {
  const float* key = args.keys + (position - args.first_key) * args.key_stride;
  double sum = 0;
  for (std::int64_t d = 0; d < args.head_dim; ++d) sum += double{q[d]} * double{key[d]};
  sum *= double{args.scale};
  return args.soft_cap > 0 ? args.soft_cap * std::tanh(sum / args.soft_cap) : sum;
}

// The scores are computed again for every chunk of columns, so that the sums of one chunk fit a fixed buffer.
constexpr std::int64_t kColumns = 256;

void run_row(const Args& args, const float* q, std::int64_t position, float* out) {
  const std::int64_t first = std::max(args.first_key, args.window > 0 ? position - args.window + 1 : args.first_key);
  const std::int64_t last = std::min(position + 1, args.first_key + args.num_keys);
  double top = -std::numeric_limits<double>::infinity();
  for (std::int64_t j = first; j < last; ++j) top = std::max(top, score(args, q, j));
  for (std::int64_t column = 0; column < args.head_dim; column += kColumns) {
    const std::int64_t count = std::min(kColumns, args.head_dim - column);
    double total = 0;
    double sums[kColumns] = {};
    for (std::int64_t j = first; j < last; ++j) {
      const double weight = std::exp(score(args, q, j) - top);
      const float* value = args.values + (j - args.first_key) * args.value_stride + column;
      total += weight;
      for (std::int64_t d = 0; d < count; ++d) sums[d] += weight * double{value[d]};
    }
    for (std::int64_t d = 0; d < count; ++d) out[column + d] = static_cast<float>(sums[d] / total);
  }
}

}  // namespace

void run(const Args& args) noexcept {
  for (std::int64_t token = 0; token < args.num_tokens; ++token)
    for (std::int64_t head = 0; head < args.num_heads; ++head)
      run_row(args, args.q + token * args.q_token_stride + head * args.q_head_stride, args.first_query + token,
              args.out + token * args.out_token_stride + head * args.out_head_stride);
}

}  // namespace quernel::kernels::attention_float::reference
