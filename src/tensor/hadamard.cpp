#include "tensor/hadamard.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"

namespace quernel {
namespace {

constexpr std::int64_t kMaxCore = 1024;  // beyond it the core's K^2 costs more than blocks lose

struct PrimePower {
  std::int64_t prime;
  int exponent;
};

std::optional<PrimePower> as_prime_power(std::int64_t q) {
  if (q < 2) return std::nullopt;
  std::int64_t prime = 2;
  while (prime * prime <= q && q % prime != 0) ++prime;
  if (q % prime != 0) prime = q;
  PrimePower power{prime, 0};
  for (; q % prime == 0; q /= prime) ++power.exponent;
  return q == 1 ? std::optional(power) : std::nullopt;
}

// The field of q = p^k elements: element e stands for the polynomial whose coefficients are the digits of e to base p.
class FiniteField {
 public:
  explicit FiniteField(PrimePower power) : prime_(power.prime), degree_(power.exponent) {
    for (int i = 0; i < degree_; ++i) size_ *= prime_;
    if (degree_ > 1) find_modulus();
  }
  [[nodiscard]] std::int64_t size() const { return size_; }

  [[nodiscard]] std::int64_t subtract(std::int64_t a, std::int64_t b) const {
    std::int64_t out = 0;
    for (std::int64_t place = 1; place < size_; place *= prime_, a /= prime_, b /= prime_)
      out += (a % prime_ - b % prime_ + prime_) % prime_ * place;
    return out;
  }

  // chi[e]: 0 for 0, +1 for squares, -1 for the others.
  [[nodiscard]] std::vector<std::int8_t> quadratic_character() const {
    std::vector<std::int8_t> chi(static_cast<std::size_t>(size_), -1);
    chi[0] = 0;
    for (std::int64_t e = 1; e < size_; ++e) chi[static_cast<std::size_t>(multiply(e, e))] = 1;
    return chi;
  }

 private:
  using Digits = std::vector<std::int64_t>;

  [[nodiscard]] Digits digits(std::int64_t e) const {
    Digits out;
    for (int i = 0; i < degree_; ++i, e /= prime_) out.push_back(e % prime_);
    return out;
  }

  [[nodiscard]] std::int64_t multiply(std::int64_t a, std::int64_t b) const {
    if (degree_ == 1) return a * b % prime_;
    const Digits x = digits(a);
    const Digits y = digits(b);
    Digits product(x.size() + y.size() - 1, 0);
    for (std::size_t i = 0; i < x.size(); ++i)
      for (std::size_t j = 0; j < y.size(); ++j) product[i + j] = (product[i + j] + x[i] * y[j]) % prime_;
    // t^degree = -modulus: from the highest power down.
    for (std::size_t high = product.size(); high-- > x.size();)
      for (std::size_t i = 0; i < x.size(); ++i) {
        std::int64_t& low = product[high - x.size() + i];
        low = ((low - product[high] * modulus_[i]) % prime_ + prime_) % prime_;
      }
    std::int64_t out = 0;
    for (std::size_t i = x.size(); i-- > 0;) out = out * prime_ + product[i];
    return out;
  }

  // The first monic polynomial for which the ring has no divisors of zero, which makes it a field.
  void find_modulus() {
    for (std::int64_t low = 1; low < size_; ++low) {
      modulus_ = digits(low);
      bool field = true;
      for (std::int64_t a = 1; field && a < size_; ++a)
        for (std::int64_t b = a; field && b < size_; ++b) field = multiply(a, b) != 0;
      if (field) return;
    }
    QUERNEL_CHECK(false, "no irreducible polynomial of degree {} over {}", degree_, prime_);
  }

  std::int64_t prime_;
  int degree_;
  std::int64_t size_ = 1;
  Digits modulus_;  // coefficients below the leading 1
};

HadamardCore square_of(std::int64_t order) {
  return {order, std::vector<std::int8_t>(static_cast<std::size_t>(order * order), 1)};
}

std::int8_t& at(HadamardCore& core, std::int64_t row, std::int64_t col) {
  return core.signs[static_cast<std::size_t>(row * core.order + col)];
}

// q = 3 mod 4: I + S, S = [[0, 1], [-1, Q]], Q_ab = chi(a - b).
HadamardCore paley_one(const FiniteField& field) {
  const std::vector<std::int8_t> chi = field.quadratic_character();
  HadamardCore core = square_of(field.size() + 1);
  for (std::int64_t a = 0; a < field.size(); ++a) {
    at(core, a + 1, 0) = -1;
    for (std::int64_t b = 0; b < field.size(); ++b)
      at(core, a + 1, b + 1) = a == b ? std::int8_t{1} : chi[static_cast<std::size_t>(field.subtract(a, b))];
  }
  return core;
}

// q = 1 mod 4: C (x) [[1, 1], [1, -1]] + I (x) [[1, -1], [-1, -1]], C = [[0, 1], [1, Q]].
HadamardCore paley_two(const FiniteField& field) {
  const std::vector<std::int8_t> chi = field.quadratic_character();
  const std::int64_t half = field.size() + 1;
  HadamardCore core = square_of(2 * half);
  for (std::int64_t a = 0; a < half; ++a)
    for (std::int64_t b = 0; b < half; ++b) {
      const bool same = a == b;
      const std::int8_t c =
          a == 0 || b == 0 ? std::int8_t{1} : chi[static_cast<std::size_t>(same ? 0 : field.subtract(a - 1, b - 1))];
      const auto minus = static_cast<std::int8_t>(-c);
      at(core, 2 * a, 2 * b) = same ? std::int8_t{1} : c;
      at(core, 2 * a, 2 * b + 1) = same ? std::int8_t{-1} : c;
      at(core, 2 * a + 1, 2 * b) = same ? std::int8_t{-1} : c;
      at(core, 2 * a + 1, 2 * b + 1) = same ? std::int8_t{-1} : minus;
    }
  return core;
}

HadamardCore transpose(const HadamardCore& core) {
  HadamardCore out = square_of(core.order);
  for (std::int64_t i = 0; i < core.order; ++i)
    for (std::int64_t j = 0; j < core.order; ++j)
      at(out, j, i) = core.signs[static_cast<std::size_t>(i * core.order + j)];
  return out;
}

// Sylvester's butterflies on 2^m neighbours, not scaled.
template <class T>
void walsh(std::span<T> x) {
  for (std::size_t half = 1; half < x.size(); half *= 2)
    for (std::size_t start = 0; start < x.size(); start += 2 * half)
      for (std::size_t i = start; i < start + half; ++i) {
        const T a = x[i];
        const T b = x[i + half];
        x[i] = a + b;
        x[i + half] = a - b;
      }
}

template <class T>
void transform_block(std::span<T> x, const HadamardCore& core, std::size_t power, std::vector<T>& scratch) {
  const auto order = static_cast<std::size_t>(core.order);
  for (std::size_t k = 0; k < order; ++k) walsh(x.subspan(k * power, power));
  if (order > 1) {
    scratch.assign(x.size(), T{});
    for (std::size_t k = 0; k < order; ++k)
      for (std::size_t to = 0; to < order; ++to) {
        const T* from = x.data() + k * power;
        T* out = scratch.data() + to * power;
        if (core.signs[k * order + to] > 0) {
          for (std::size_t i = 0; i < power; ++i) out[i] += from[i];
        } else {
          for (std::size_t i = 0; i < power; ++i) out[i] -= from[i];
        }
      }
    std::copy(scratch.begin(), scratch.end(), x.begin());
  }
  const T scale = static_cast<T>(1.0 / std::sqrt(static_cast<double>(x.size())));
  for (T& value : x) value *= scale;
}

template <class T>
void transform_row(std::span<T> row, const HadamardCore& core, std::int64_t power) {
  const auto block = static_cast<std::size_t>(core.order * power);
  std::vector<T> scratch;
  for (std::size_t first = 0; first < row.size(); first += block)
    transform_block(row.subspan(first, block), core, static_cast<std::size_t>(power), scratch);
}

}  // namespace

std::optional<HadamardCore> paley_hadamard(std::int64_t order) {
  if (order == 1) return HadamardCore{};
  if (order == 2) return HadamardCore{2, {1, 1, 1, -1}};
  if (order < 4 || order % 4 != 0) return std::nullopt;
  if (const auto one = as_prime_power(order - 1); one.has_value()) return paley_one(FiniteField(*one));
  const auto two = as_prime_power(order / 2 - 1);
  if (two.has_value() && (order / 2 - 1) % 4 == 1) return paley_two(FiniteField(*two));
  return std::nullopt;
}

Hadamard::Hadamard(std::int64_t size) : size_(size) {
  QUERNEL_CHECK(size >= 1, "a transform of {} values", size);
  std::int64_t odd = size;
  for (; odd % 2 == 0; odd /= 2) power_ *= 2;
  transposed_ = core_;
  if (odd == 1) return;
  for (std::int64_t order = 4 * odd; order <= kMaxCore && size % order == 0; order *= 2) {
    std::optional<HadamardCore> core = paley_hadamard(order);
    if (!core.has_value()) continue;
    core_ = std::move(*core);
    transposed_ = transpose(core_);
    power_ = size / order;
    return;
  }
}

void Hadamard::apply(std::span<double> row) const {
  QUERNEL_CHECK(std::cmp_equal(row.size(), size_), "{} values for a transform of {}", row.size(), size_);
  transform_row(row, core_, power_);
}
void Hadamard::apply(std::span<float> row) const {
  QUERNEL_CHECK(std::cmp_equal(row.size(), size_), "{} values for a transform of {}", row.size(), size_);
  transform_row(row, core_, power_);
}
void Hadamard::apply_inverse(std::span<double> row) const {
  QUERNEL_CHECK(std::cmp_equal(row.size(), size_), "{} values for a transform of {}", row.size(), size_);
  transform_row(row, transposed_, power_);
}
void Hadamard::apply_inverse(std::span<float> row) const {
  QUERNEL_CHECK(std::cmp_equal(row.size(), size_), "{} values for a transform of {}", row.size(), size_);
  transform_row(row, transposed_, power_);
}

}  // namespace quernel
