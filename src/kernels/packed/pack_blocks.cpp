#include "kernels/packed/pack_blocks.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <vector>

#include "codec/gguf_split.h"
#include "tensor/half.h"

namespace quernel::kernels::packed {
namespace {

using codec::GgufForm;
using codec::GgufKind;

Codes codes_of(const GgufKind& kind) {
  if (kind.has_levels) return Codes::u4_table;
  switch (kind.bits) {
    case 2: return Codes::u2;
    case 3: return Codes::u3;
    case 5: return Codes::u5;
    case 6: return Codes::u6;
    case 8: return Codes::u8;
    default: return Codes::u4;
  }
}

Groups groups_of(GgufForm form) {
  switch (form) {
    case GgufForm::plain: return Groups::f16_fixed;
    case GgufForm::minimum: return Groups::f16_min;
    case GgufForm::scaled: return Groups::k_scale;
    case GgufForm::both: return Groups::k_min;
  }
  return Groups::f16;
}

WeightView shape_of(const BlockRows& blocks, const GgufKind& kind) {
  WeightView w;
  w.codes = codes_of(kind);
  w.groups = groups_of(kind.form);
  w.fixed_zero = static_cast<std::uint8_t>(kind.zero);
  if (kind.has_levels) std::copy(codec::kUnevenLevels.begin(), codec::kUnevenLevels.end(), w.table);
  w.rows = blocks.rows;
  w.cols = blocks.cols;
  w.group_size = kind.group;
  return w;
}

void put_half(std::uint8_t* to, std::int64_t lane, std::uint16_t bits) {
  std::memcpy(to + 2 * lane, &bits, sizeof bits);
}

// Parameters of the groups of one block, the first of which is `first`.
void put_block(PackedWeight& weight, const GgufKind& kind, std::int64_t row, std::int64_t first, std::int64_t count,
               const codec::GgufSplit& split) {
  const WeightView& w = weight.view();
  const std::int64_t lane = row % kPanelOutputs;
  std::uint8_t* panel = weight.params() + (row / kPanelOutputs) * w.panel_param_bytes();
  const bool has_super = param_bytes_of(w.groups).super > 0;
  std::uint8_t* halves = panel + (has_super ? w.super_offset(first) : w.group_offset(first));
  put_half(halves, lane, split.d);
  if (kind.form == GgufForm::minimum || kind.form == GgufForm::both) put_half(halves, kPanelOutputs + lane, split.dmin);
  for (std::int64_t g = 0; has_super && g < count; ++g) {
    std::uint8_t* at = panel + w.group_offset(first + g);
    at[lane] = static_cast<std::uint8_t>(split.s[static_cast<std::size_t>(g)]);
    if (kind.form == GgufForm::both)
      at[kPanelOutputs + lane] = static_cast<std::uint8_t>(split.m[static_cast<std::size_t>(g)]);
  }
}

// False where a scale is not finite.
bool pack_row(PackedWeight& weight, const BlockRows& blocks, const GgufKind& kind, std::int64_t row,
              std::vector<std::uint8_t>& codes) {
  const codec::GgmlTypeTraits& traits = *codec::find_ggml_type(static_cast<std::uint32_t>(blocks.type));
  const std::span<const std::byte> bytes = blocks.row(row);
  codec::GgufSplit split;
  bool finite = true;
  for (std::int64_t first = 0, at = 0; first < blocks.cols;
       first += traits.elements_per_block, at += traits.bytes_per_block) {
    codec::split_gguf(blocks.type, bytes.data() + at, split);
    finite = finite && std::isfinite(f16_to_float(split.d)) && std::isfinite(f16_to_float(split.dmin));
    std::copy_n(split.codes.begin(), traits.elements_per_block, codes.begin() + first);
    put_block(weight, kind, row, first / kind.group, traits.elements_per_block / kind.group, split);
  }
  put_row_codes(weight, row, codes.data());
  return finite;
}

}  // namespace

Result<PackedWeight> pack_blocks(const BlockRows& blocks, sys::ThreadPool& pool, sys::HugeArena* arena) {
  const std::optional<GgufKind> kind = codec::gguf_kind(blocks.type);
  const codec::GgmlTypeTraits* traits = codec::find_ggml_type(static_cast<std::uint32_t>(blocks.type));
  if (!kind || blocks.cols % traits->elements_per_block != 0)
    return Error(Fault::unsupported, "blocks of this type cannot be packed for integer products")
        .in_field("type")
        .expect("whole blocks of integers",
                fmt::format("{} inputs of type {}", blocks.cols,
                            traits != nullptr ? traits->name : std::string_view("unknown")));
  QUERNEL_TRY(PackedWeight weight, PackedWeight::make(shape_of(blocks, *kind), arena));
  std::atomic<std::int64_t> faulty{blocks.rows};
  pool.parallel_for(weight.view().panels(), [&](std::int64_t panel) {
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(blocks.cols));
    const std::int64_t end = std::min(blocks.rows, (panel + 1) * kPanelOutputs);
    for (std::int64_t row = panel * kPanelOutputs; row < end; ++row) {
      if (pack_row(weight, blocks, *kind, row, codes)) continue;
      std::int64_t first = faulty.load();
      while (row < first && !faulty.compare_exchange_weak(first, row)) {
      }
    }
  });
  if (faulty < blocks.rows)
    return Error(Fault::corrupt, "weight is not finite")
        .expect("finite scales", fmt::format("another in row {}", faulty.load()));
  return weight;
}

}  // namespace quernel::kernels::packed
