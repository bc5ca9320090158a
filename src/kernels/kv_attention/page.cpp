#include "kernels/kv_attention/page.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "kernels/kv_attention/table.h"
#include "tensor/half.h"

namespace quernel::kernels::kv_attention {
namespace {

constexpr float kMaxF16 = 65504.0F;

std::uint16_t half_at(const std::uint8_t* at, std::int64_t index) {
  std::uint16_t bits;
  std::memcpy(&bits, at + 2 * index, sizeof bits);
  return bits;
}
void put_half(std::uint8_t* at, std::int64_t index, std::uint16_t bits) {
  std::memcpy(at + 2 * index, &bits, sizeof bits);
}

std::uint16_t to_half(float x) { return float_to_f16(std::isnan(x) ? x : std::clamp(x, -kMaxF16, kMaxF16)); }

std::int64_t key_at(std::int64_t head_dim, std::int64_t token, std::int64_t dim) {
  return ((token / 16) * (head_dim / 4) + dim / 4) * 64 + (token % 16) * 4 + dim % 4;
}
std::int64_t value_at(std::int64_t token, std::int64_t dim) {
  return ((dim / 16) * 8 + token / 4) * 64 + (dim % 16) * 4 + token % 4;
}

Coded encode(const float* x, std::int64_t size, float most) {
  Coded coded;
  pick().encode(x, size, most, coded);
  return coded;
}

void put_params(std::uint8_t* params, std::int64_t slot, const Coded& coded) {
  put_half(params, slot, coded.scale);
  put_half(params, kPageTokens + slot, coded.offset);
}

// A code of 4 bits into the nibble that unit `unit` of `pairs` pairs has; bytes begin as 0.
void put_nibble(std::uint8_t* panel, std::int64_t pairs, std::int64_t unit, std::int64_t in_unit, std::uint8_t code) {
  std::uint8_t& byte = panel[(unit % pairs) * 64 + in_unit];
  byte = static_cast<std::uint8_t>(byte | code << (unit < pairs ? 0 : 4));
}
int nibble_at(const std::uint8_t* panel, std::int64_t pairs, std::int64_t unit, std::int64_t in_unit) {
  const std::uint8_t byte = panel[(unit % pairs) * 64 + in_unit];
  return unit < pairs ? byte & 15 : byte >> 4;
}

void write_half_token(const PageBytes& page, std::int64_t head_dim, std::int64_t slot, const float* key,
                      const float* value) {
  for (std::int64_t d = 0; d < head_dim; ++d) {
    put_half(page.keys, d * kPageTokens + slot, float_to_f16(key[d]));
    put_half(page.values, slot * padded_dim(head_dim) + d, float_to_f16(value[d]));
  }
}

}  // namespace

void write_token(const PageBytes& page, int bits, std::int64_t head_dim, std::int64_t slot, const float* key,
                 const float* value) {
  if (bits == 16) return write_half_token(page, head_dim, slot, key, value);
  const PageLayout at = page_layout(head_dim, 8);
  const Coded k = encode(key, head_dim, 255.0F);
  const Coded v = encode(value, head_dim, 255.0F);
  for (std::int64_t d = 0; d < head_dim; d += 4) std::memcpy(page.keys + key_at(head_dim, slot, d), k.codes + d, 4);
  for (std::int64_t d = 0; d < head_dim; ++d) page.values[value_at(slot, d)] = v.codes[d];
  put_params(page.keys + at.key_params, slot, k);
  put_params(page.values + at.value_params, slot, v);
}

void close_page(const PageBytes& page8, std::int64_t head_dim, const PageBytes& page4) {
  const PageLayout at = page_layout(head_dim, 4);
  std::memset(page4.keys, 0, static_cast<std::size_t>(at.key_bytes));
  std::memset(page4.values, 0, static_cast<std::size_t>(at.value_bytes));
  std::array<std::array<float, kMaxHeadDim>, kPageTokens> keys;
  std::array<std::array<float, kMaxHeadDim>, kPageTokens> values;
  std::array<float, kMaxHeadDim> center{};
  for (std::size_t t = 0; t < kPageTokens; ++t) {
    read_token(page8, 8, head_dim, static_cast<std::int64_t>(t), keys[t].data(), values[t].data());
    for (std::size_t d = 0; d < static_cast<std::size_t>(head_dim); ++d) center[d] += keys[t][d];
  }
  for (std::size_t d = 0; d < static_cast<std::size_t>(head_dim); ++d) {
    const std::uint16_t bits = to_half(center[d] / static_cast<float>(kPageTokens));
    put_half(page4.keys + at.centers, static_cast<std::int64_t>(d), bits);
    center[d] = f16_to_float(bits);
  }
  for (std::int64_t t = 0; t < kPageTokens; ++t) {
    auto& key = keys[static_cast<std::size_t>(t)];
    for (std::size_t d = 0; d < static_cast<std::size_t>(head_dim); ++d) key[d] -= center[d];
    const Coded k = encode(key.data(), head_dim, 15.0F);
    const Coded v = encode(values[static_cast<std::size_t>(t)].data(), head_dim, 15.0F);
    std::uint8_t* key_panel = page4.keys + (t / 16) * (head_dim / 8) * 64;
    for (std::int64_t d = 0; d < head_dim; ++d) {
      put_nibble(key_panel, head_dim / 8, d / 4, (t % 16) * 4 + d % 4, k.codes[d]);
      put_nibble(page4.values + (d / 16) * 4 * 64, 4, t / 4, (d % 16) * 4 + t % 4, v.codes[d]);
    }
    put_params(page4.keys + at.key_params, t, k);
    put_params(page4.values + at.value_params, t, v);
  }
}

void read_token(const PageBytes& page, int bits, std::int64_t head_dim, std::int64_t slot, float* key, float* value) {
  const PageLayout at = page_layout(head_dim, bits);
  const auto decode = [slot](const std::uint8_t* params, int code) {
    return f16_to_float(half_at(params, slot)) * static_cast<float>(code) +
           f16_to_float(half_at(params, kPageTokens + slot));
  };
  for (std::int64_t d = 0; d < head_dim; ++d) {
    if (bits == 16) {
      key[d] = f16_to_float(half_at(page.keys, d * kPageTokens + slot));
      value[d] = f16_to_float(half_at(page.values, slot * padded_dim(head_dim) + d));
      continue;
    }
    const bool whole = bits == 8;
    const int k =
        whole ? page.keys[key_at(head_dim, slot, d)]
              : nibble_at(page.keys + (slot / 16) * (head_dim / 8) * 64, head_dim / 8, d / 4, (slot % 16) * 4 + d % 4);
    const int v = whole ? page.values[value_at(slot, d)]
                        : nibble_at(page.values + (d / 16) * 4 * 64, 4, slot / 4, (d % 16) * 4 + slot % 4);
    key[d] = decode(page.keys + at.key_params, k);
    value[d] = decode(page.values + at.value_params, v);
    if (bits == 4) key[d] += f16_to_float(half_at(page.keys + at.centers, d));
  }
}

}  // namespace quernel::kernels::kv_attention
