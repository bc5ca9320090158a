// The formula of kv_attention.h in double, on what read_token gives.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "kernels/kv_attention/entries.h"
#include "tensor/half.h"

namespace quernel::kernels::kv_attention::reference {

namespace {

struct Token {
  std::array<float, kMaxHeadDim> key;
  std::array<float, kMaxHeadDim> value;
};

double score(const Args& args, const Query& query, const Token& token) {
  double dot = 0;
  for (std::int64_t d = 0; d < args.head_dim; ++d)
    dot += static_cast<double>(query.values[d]) * token.key[static_cast<std::size_t>(d)];
  const double s = args.scale * dot;
  return args.soft_cap > 0.0F ? args.soft_cap * std::tanh(s / args.soft_cap) : s;
}

bool visible(const Args& args, const Query& query, std::int64_t position) {
  return position <= query.position && (args.window == 0 || query.position - position < args.window);
}

void run_query(const Args& args, const Query& query, Partial& out) {
  std::array<double, kMaxHeadDim> mixed{};
  double max = -std::numeric_limits<double>::infinity();
  double sum = 0;
  for (std::int64_t j = 0; j < args.num_pages * kPageTokens; ++j) {
    if (!visible(args, query, args.first_position + j)) continue;
    const Page& page = args.pages[j / kPageTokens];
    Token token;
    read_token(page.bytes, page.bits, args.head_dim, j % kPageTokens, token.key.data(), token.value.data());
    const double s = score(args, query, token);
    const double before = max;
    max = s > max || std::isnan(s) ? s : max;
    const double keep = sum == 0 ? 0 : std::exp(before - max);
    const double weight = std::exp(s - max);
    sum = sum * keep + weight;
    for (std::size_t d = 0; d < static_cast<std::size_t>(args.head_dim); ++d)
      mixed[d] = mixed[d] * keep + weight * token.value[d];
  }
  out.max = static_cast<float>(max);
  out.sum = static_cast<float>(sum);
  for (std::int64_t d = 0; d < padded_dim(args.head_dim); ++d)
    out.mixed[d] = d < args.head_dim ? static_cast<float>(mixed[static_cast<std::size_t>(d)]) : 0.0F;
}

}  // namespace

void encode(const float* x, std::int64_t size, float most, Coded& out) noexcept {
  float low = x[0];
  float high = x[0];
  float faults = 0.0F;
  for (std::int64_t i = 0; i < size; ++i) {
    low = std::fmin(low, x[i]);
    high = std::fmax(high, x[i]);
    faults += x[i] - x[i];
  }
  if (!std::isfinite(high - low) || faults != 0.0F) {
    out.scale = out.offset = float_to_f16(std::numeric_limits<float>::quiet_NaN());
    std::fill_n(out.codes, size, std::uint8_t{0});
    return;
  }
  constexpr float kMaxF16 = 65504.0F;
  out.scale = float_to_f16(std::clamp((high - low) / most, -kMaxF16, kMaxF16));
  out.offset = float_to_f16(std::clamp(low + 0.0F, -kMaxF16, kMaxF16));  // never -0
  const float scale = f16_to_float(out.scale);
  const float inverse = scale > 0.0F ? 1.0F / scale : 0.0F;
  for (std::int64_t i = 0; i < size; ++i) {
    const float exact = (x[i] - f16_to_float(out.offset)) * inverse;
    out.codes[i] = static_cast<std::uint8_t>(std::nearbyint(std::clamp(exact, 0.0F, most)));
  }
}

void run(const Args& args) noexcept {
  for (std::int64_t m = 0; m < args.num_queries; ++m) run_query(args, args.queries[m], args.partials[m]);
}

}  // namespace quernel::kernels::kv_attention::reference
