#include "codec/gguf_blocks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "tensor/half.h"

namespace quernel::codec {
namespace {

static_assert(std::endian::native == std::endian::little, "blocks are read in place");

using Byte = std::uint8_t;

constexpr int kSmall = 32;   // elements of a block of the first generation
constexpr int kSuper = 256;  // elements of a super-block

template <class T>
T load(const Byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

float half_at(const Byte* at) { return f16_to_float(load<std::uint16_t>(at)); }

// Levels of the 4-bit types with uneven steps.
constexpr std::array<float, 16> kUnevenLevels = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                 1,    13,   25,  38,  53,  69,  89,  113};

// --- 32 elements: element i < 16 is the low nibble of byte i, element i + 16 its high nibble ---

// d * (q - 8)
void decode_q4_0(const Byte* block, float* out) {
  const float d = half_at(block);
  const Byte* codes = block + 2;
  for (int i = 0; i < kSmall / 2; ++i) {
    out[i] = static_cast<float>((codes[i] & 15) - 8) * d;
    out[i + kSmall / 2] = static_cast<float>((codes[i] >> 4) - 8) * d;
  }
}

// d * q + m
void decode_q4_1(const Byte* block, float* out) {
  const float d = half_at(block);
  const float m = half_at(block + 2);
  const Byte* codes = block + 4;
  for (int i = 0; i < kSmall / 2; ++i) {
    out[i] = static_cast<float>(codes[i] & 15) * d + m;
    out[i + kSmall / 2] = static_cast<float>(codes[i] >> 4) * d + m;
  }
}

// The fifth bit of element i is bit i of a word; element i + 16 sits 16 bits higher.
int fifth_bit(std::uint32_t high, int i) { return static_cast<int>(high >> i & 1U) << 4; }

// d * (q - 16)
void decode_q5_0(const Byte* block, float* out) {
  const float d = half_at(block);
  const auto high = load<std::uint32_t>(block + 2);
  const Byte* codes = block + 6;
  for (int i = 0; i < kSmall / 2; ++i) {
    out[i] = static_cast<float>(((codes[i] & 15) | fifth_bit(high, i)) - 16) * d;
    out[i + kSmall / 2] = static_cast<float>(((codes[i] >> 4) | fifth_bit(high, i + kSmall / 2)) - 16) * d;
  }
}

// d * q + m
void decode_q5_1(const Byte* block, float* out) {
  const float d = half_at(block);
  const float m = half_at(block + 2);
  const auto high = load<std::uint32_t>(block + 4);
  const Byte* codes = block + 8;
  for (int i = 0; i < kSmall / 2; ++i) {
    out[i] = static_cast<float>((codes[i] & 15) | fifth_bit(high, i)) * d + m;
    out[i + kSmall / 2] = static_cast<float>((codes[i] >> 4) | fifth_bit(high, i + kSmall / 2)) * d + m;
  }
}

// d * q
void decode_q8_0(const Byte* block, float* out) {
  const float d = half_at(block);
  const Byte* codes = block + 2;
  for (int i = 0; i < kSmall; ++i) out[i] = static_cast<float>(static_cast<std::int8_t>(codes[i])) * d;
}

// d * level(q)
void decode_iq4_nl(const Byte* block, float* out) {
  const float d = half_at(block);
  const Byte* codes = block + 2;
  for (int i = 0; i < kSmall / 2; ++i) {
    out[i] = d * kUnevenLevels[codes[i] & 15U];
    out[i + kSmall / 2] = d * kUnevenLevels[codes[i] >> 4];
  }
}

// --- 256 elements: scales of 16 or 32 elements are small integers times a half ---

// (d * s) * q - dmin * m, 16 elements a scale; s and m share a byte; four elements 32 apart share a byte of codes
void decode_q2_k(const Byte* block, float* out) {
  const Byte* scales = block;
  const Byte* codes = block + 16;
  const float d = half_at(block + 80);
  const float dmin = half_at(block + 82);
  for (int part = 0; part < kSuper / 16; ++part) {
    const float scale = d * static_cast<float>(scales[part] & 15);
    const float offset = dmin * static_cast<float>(scales[part] >> 4);
    const Byte* from = codes + 32 * (part / 8) + 16 * (part % 2);
    const int shift = 2 * (part % 8 / 2);
    for (int i = 0; i < 16; ++i) out[16 * part + i] = scale * static_cast<float>(from[i] >> shift & 3) - offset;
  }
}

// Scale `part` of 16 with six bits: low four in one of 8 bytes, high two in one of the 4 bytes after them.
int q3_k_scale(const Byte* scales, int part) {
  const int low = part < 8 ? scales[part] & 15 : scales[part - 8] >> 4;
  const int high = scales[8 + part % 4] >> 2 * (part / 4) & 3;
  return (low | high << 4) - 32;
}

// (d * s) * (q - 4), or (d * s) * q where the mask bit is set
void decode_q3_k(const Byte* block, float* out) {
  const Byte* mask = block;
  const Byte* codes = block + 32;
  const Byte* scales = block + 96;
  const float d = half_at(block + 108);
  for (int part = 0; part < kSuper / 16; ++part) {
    const float scale = d * static_cast<float>(q3_k_scale(scales, part));
    const Byte* from = codes + 32 * (part / 8) + 16 * (part % 2);
    const Byte* high = mask + 16 * (part % 2);
    const int shift = 2 * (part % 8 / 2);
    const int bit = part / 2;
    for (int i = 0; i < 16; ++i) {
      const int q = (from[i] >> shift & 3) - ((high[i] >> bit & 1) != 0 ? 0 : 4);
      out[16 * part + i] = scale * static_cast<float>(q);
    }
  }
}

struct ScaleAndMin {
  float scale;
  float min;
};

// Pair `part` of 8 with six bits each, packed in 12 bytes: the first four pairs whole, the others split in 4 + 2 bits.
ScaleAndMin six_bit_pair(const Byte* packed, int part, float d, float dmin) {
  int scale = packed[part] & 63;
  int min = packed[part + 4] & 63;
  if (part >= 4) {
    scale = (packed[part + 4] & 15) | packed[part - 4] >> 6 << 4;
    min = packed[part + 4] >> 4 | packed[part] >> 6 << 4;
  }
  return {d * static_cast<float>(scale), dmin * static_cast<float>(min)};
}

// (d * s) * q - dmin * m, 32 elements a pair; elements 32 apart share a byte
void decode_q4_k(const Byte* block, float* out) {
  const float d = half_at(block);
  const float dmin = half_at(block + 2);
  const Byte* codes = block + 16;
  for (int part = 0; part < kSuper / 32; ++part) {
    const auto [scale, min] = six_bit_pair(block + 4, part, d, dmin);
    const Byte* from = codes + 32 * (part / 2);
    const int shift = 4 * (part % 2);
    for (int i = 0; i < 32; ++i) out[32 * part + i] = scale * static_cast<float>(from[i] >> shift & 15) - min;
  }
}

// As Q4_K, the fifth bit of element i of pair p is bit p of byte i
void decode_q5_k(const Byte* block, float* out) {
  const float d = half_at(block);
  const float dmin = half_at(block + 2);
  const Byte* high = block + 16;
  const Byte* codes = block + 48;
  for (int part = 0; part < kSuper / 32; ++part) {
    const auto [scale, min] = six_bit_pair(block + 4, part, d, dmin);
    const Byte* from = codes + 32 * (part / 2);
    const int shift = 4 * (part % 2);
    for (int i = 0; i < 32; ++i) {
      const int q = (from[i] >> shift & 15) | (high[i] >> part & 1) << 4;
      out[32 * part + i] = scale * static_cast<float>(q) - min;
    }
  }
}

// (d * s) * (q - 32), 16 elements a scale; halves of 128 elements have 64 bytes of low nibbles and 32 of high pairs
void decode_q6_k(const Byte* block, float* out) {
  const Byte* scales = block + 192;
  const float d = half_at(block + 208);
  for (int part = 0; part < kSuper / 16; ++part) {
    const float scale = d * static_cast<float>(static_cast<std::int8_t>(scales[part]));
    const int half = part / 8;
    const int quarter = part % 8 / 2;  // 32 elements inside the half
    const int column = 16 * (part % 2);
    const Byte* low = block + 64 * half + 32 * (quarter % 2) + column;
    const Byte* high = block + 128 + 32 * half + column;
    const int low_shift = 4 * (quarter / 2);
    const int high_shift = 2 * quarter;
    for (int i = 0; i < 16; ++i) {
      const int q = (low[i] >> low_shift & 15) | (high[i] >> high_shift & 3) << 4;
      out[16 * part + i] = scale * static_cast<float>(q - 32);
    }
  }
}

// (d * (s - 32)) * level(q), 32 elements a six-bit scale
void decode_iq4_xs(const Byte* block, float* out) {
  const float d = half_at(block);
  const auto scales_high = load<std::uint16_t>(block + 2);
  const Byte* scales_low = block + 4;
  for (int part = 0; part < kSuper / 32; ++part) {
    const int low = scales_low[part / 2] >> 4 * (part % 2) & 15;
    const int high = scales_high >> 2 * part & 3;
    const float scale = d * static_cast<float>((low | high << 4) - 32);
    const Byte* codes = block + 8 + 16 * part;
    float* to = out + 32 * part;
    for (int i = 0; i < 16; ++i) {
      to[i] = scale * kUnevenLevels[codes[i] & 15U];
      to[i + 16] = scale * kUnevenLevels[codes[i] >> 4];
    }
  }
}

// Plain types, in runs, so that bytes without alignment can be converted through a small buffer.
template <auto convert>
void decode_16_bit(const Byte* from, std::span<float> out) {
  constexpr std::size_t kRun = 512;
  std::array<std::uint16_t, kRun> run;
  for (std::size_t done = 0; done < out.size(); done += kRun) {
    const std::size_t count = std::min(kRun, out.size() - done);
    std::memcpy(run.data(), from + done * sizeof(std::uint16_t), count * sizeof(std::uint16_t));
    convert(std::span<const std::uint16_t>(run.data(), count), out.subspan(done, count));
  }
}

void decode_f16(const Byte* from, std::span<float> out) {
  decode_16_bit<static_cast<void (*)(std::span<const std::uint16_t>, std::span<float>)>(f16_to_float)>(from, out);
}
void decode_bf16(const Byte* from, std::span<float> out) {
  decode_16_bit<static_cast<void (*)(std::span<const std::uint16_t>, std::span<float>)>(bf16_to_float)>(from, out);
}

template <void (*decode)(const Byte*, float*), int elements, int bytes>
void decode_blocks(const Byte* from, std::span<float> out) {
  float* to = out.data();
  float* const end = to + out.size();
  for (; to != end; to += elements, from += bytes) decode(from, to);
}

using Decoder = void (*)(const Byte*, std::span<float>);

Decoder find_decoder(GgmlType type) {
  switch (type) {
    case GgmlType::f16: return decode_f16;
    case GgmlType::bf16: return decode_bf16;
    case GgmlType::q4_0: return decode_blocks<decode_q4_0, 32, 18>;
    case GgmlType::q4_1: return decode_blocks<decode_q4_1, 32, 20>;
    case GgmlType::q5_0: return decode_blocks<decode_q5_0, 32, 22>;
    case GgmlType::q5_1: return decode_blocks<decode_q5_1, 32, 24>;
    case GgmlType::q8_0: return decode_blocks<decode_q8_0, 32, 34>;
    case GgmlType::q2_k: return decode_blocks<decode_q2_k, 256, 84>;
    case GgmlType::q3_k: return decode_blocks<decode_q3_k, 256, 110>;
    case GgmlType::q4_k: return decode_blocks<decode_q4_k, 256, 144>;
    case GgmlType::q5_k: return decode_blocks<decode_q5_k, 256, 176>;
    case GgmlType::q6_k: return decode_blocks<decode_q6_k, 256, 210>;
    case GgmlType::iq4_nl: return decode_blocks<decode_iq4_nl, 32, 18>;
    case GgmlType::iq4_xs: return decode_blocks<decode_iq4_xs, 256, 136>;
    default: return nullptr;
  }
}

}  // namespace

Status dequantize_gguf(GgmlType type, std::span<const std::byte> blocks, std::span<float> out) {
  const GgmlTypeTraits* traits = find_ggml_type(static_cast<std::uint32_t>(type));
  if (traits == nullptr || !traits->decodable) {
    return Error(Fault::unsupported, "tensor type cannot be decoded")
        .in_field("type")
        .expect("a type that this program decodes",
                traits != nullptr ? std::string(traits->name) : fmt::format("{}", static_cast<std::uint32_t>(type)));
  }
  const auto block_elements = static_cast<std::size_t>(traits->elements_per_block);
  const auto block_bytes = static_cast<std::size_t>(traits->bytes_per_block);
  if (out.size() % block_elements != 0 || blocks.size() % block_bytes != 0 ||
      out.size() / block_elements != blocks.size() / block_bytes) {
    return Error(Fault::corrupt, "blocks do not hold the number of elements asked for")
        .in_field("type")
        .expect(fmt::format("{} elements in blocks of {} ({} bytes each)", out.size(), traits->name, block_bytes),
                fmt::format("{} bytes", blocks.size()));
  }
  if (out.empty()) return ok_status();
  if (type == GgmlType::f32) {
    std::memcpy(out.data(), blocks.data(), blocks.size());
    return ok_status();
  }
  const Decoder decoder = find_decoder(type);
  QUERNEL_CHECK(decoder != nullptr, "type {} is marked decodable", traits->name);
  decoder(reinterpret_cast<const Byte*>(blocks.data()), out);
  return ok_status();
}

}  // namespace quernel::codec
