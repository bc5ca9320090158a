#include "runtime/kv_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/checked.h"

namespace quernel::runtime {
namespace {

constexpr std::int64_t kMaxCacheFloats = std::int64_t{1} << 40;  // 4 TB: beyond any machine, far from overflow

}  // namespace

Result<KvCache> KvCache::make(const model::ModelConfig& config, std::int64_t max_tokens) {
  QUERNEL_CHECK(max_tokens >= 0, "max_tokens {}", max_tokens);
  std::optional<std::int64_t> rows = checked_mul(config.num_layers * 2 * config.num_kv_heads, max_tokens);
  const std::optional<std::int64_t> floats = rows ? checked_mul(*rows, config.head_dim) : std::nullopt;
  if (!floats || *floats > kMaxCacheFloats) {
    return Error(Fault::limit_exceeded, fmt::format("a key/value cache of {} tokens is too large", max_tokens))
        .with_hint("use a shorter context");
  }
  KvCache cache;
  cache.num_layers_ = config.num_layers;
  cache.num_kv_heads_ = config.num_kv_heads;
  cache.head_dim_ = config.head_dim;
  cache.max_tokens_ = max_tokens;
  cache.data_ = Matrix::uninitialized(*rows, config.head_dim);
  return cache;
}

std::uint64_t KvCache::bytes() const { return static_cast<std::uint64_t>(data_.size()) * sizeof(float); }

void KvCache::set_length(std::int64_t length) {
  QUERNEL_CHECK(length >= 0 && length <= max_tokens_, "cache length {} of {}", length, max_tokens_);
  length_ = length;
}

KvCache KvCache::clone() const {
  KvCache copy;
  copy.num_layers_ = num_layers_;
  copy.num_kv_heads_ = num_kv_heads_;
  copy.head_dim_ = head_dim_;
  copy.max_tokens_ = max_tokens_;
  copy.length_ = length_;
  copy.data_ = Matrix::uninitialized(data_.rows(), data_.cols());
  const std::int64_t used = length_ * head_dim_;  // positions beyond were never written
  for (std::int64_t row = 0; row < data_.rows(); row += max_tokens_) {
    const float* from = data_.data() + row * head_dim_;
    std::copy(from, from + used, copy.data_.data() + row * head_dim_);
  }
  return copy;
}

std::int64_t KvCache::offset(std::int64_t layer, std::int64_t kv_head, bool value) const {
  QUERNEL_CHECK(layer >= 0 && layer < num_layers_ && kv_head >= 0 && kv_head < num_kv_heads_, "layer {}, head {}",
                layer, kv_head);
  return (((layer * 2 + (value ? 1 : 0)) * num_kv_heads_ + kv_head) * max_tokens_) * head_dim_;
}

MatrixView KvCache::keys(std::int64_t layer, std::int64_t kv_head) {
  return {data_.data() + offset(layer, kv_head, false), max_tokens_, head_dim_};
}
MatrixView KvCache::values(std::int64_t layer, std::int64_t kv_head) {
  return {data_.data() + offset(layer, kv_head, true), max_tokens_, head_dim_};
}
ConstMatrixView KvCache::keys(std::int64_t layer, std::int64_t kv_head) const {
  return {data_.data() + offset(layer, kv_head, false), max_tokens_, head_dim_};
}
ConstMatrixView KvCache::values(std::int64_t layer, std::int64_t kv_head) const {
  return {data_.data() + offset(layer, kv_head, true), max_tokens_, head_dim_};
}

}  // namespace quernel::runtime
