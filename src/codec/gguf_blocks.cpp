#include "codec/gguf_blocks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "codec/gguf_split.h"
#include "tensor/half.h"

namespace quernel::codec {
namespace {

static_assert(std::endian::native == std::endian::little, "values are read in place");

using Byte = std::uint8_t;

// One block by the formula of its kind.
void decode_split(const GgufKind& kind, const GgufSplit& split, std::span<float> out) {
  const float d = f16_to_float(split.d);
  const float dmin = f16_to_float(split.dmin);
  for (std::size_t first = 0, g = 0; first < out.size(); first += static_cast<std::size_t>(kind.group), ++g) {
    const float scale = d * static_cast<float>(split.s[g]);
    const float offset = dmin * static_cast<float>(split.m[g]);
    for (std::size_t i = first; i < first + static_cast<std::size_t>(kind.group); ++i) {
      const int code = kind.has_levels ? kUnevenLevels[split.codes[i]] : split.codes[i];
      const auto value = static_cast<float>(code - kind.zero);
      switch (kind.form) {
        case GgufForm::plain: out[i] = value * d; break;
        case GgufForm::minimum: out[i] = value * d + dmin; break;
        case GgufForm::scaled: out[i] = scale * value; break;
        case GgufForm::both: out[i] = scale * value - offset; break;
      }
    }
  }
}

void decode_blocks(GgmlType type, const GgufKind& kind, const GgmlTypeTraits& traits, std::span<const std::byte> blocks,
                   std::span<float> out) {
  const auto elements = static_cast<std::size_t>(traits.elements_per_block);
  const auto bytes = static_cast<std::size_t>(traits.bytes_per_block);
  GgufSplit split;
  for (std::size_t block = 0; block * elements < out.size(); ++block) {
    split_gguf(type, blocks.data() + block * bytes, split);
    decode_split(kind, split, out.subspan(block * elements, elements));
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
  const auto* from = reinterpret_cast<const Byte*>(blocks.data());
  if (type == GgmlType::f16) {
    decode_f16(from, out);
  } else if (type == GgmlType::bf16) {
    decode_bf16(from, out);
  } else {
    const std::optional<GgufKind> kind = gguf_kind(type);
    QUERNEL_CHECK(kind.has_value(), "type {} is marked decodable", traits->name);
    decode_blocks(type, *kind, *traits, blocks, out);
  }
  return ok_status();
}

}  // namespace quernel::codec
