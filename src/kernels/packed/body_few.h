// packed for few rows: codes go from the nibbles straight into the dot product. Included by instruction-set files after one
// simd/i8_*.h and after kMaxRows, the rows that one pass over the weight serves (their sums must fit the registers).
//
// Bound by reading the weight as long as rows are few. A tile's low and high half are summed apart: they are two groups where
// group_size is 32, and two independent chains where it is not.
#pragma once

#include "kernels/packed/groups.h"

namespace quernel::kernels::packed {
namespace {

constexpr std::int64_t kUnitBytes = 64;
constexpr std::int64_t kUnits = 8;             // of half a tile
constexpr std::int64_t kPrefetchAhead = 2048;  // bytes; 1,024 to 8,192 measured alike

enum class Part { both, low, high };  // of a tile: its first 32 inputs, its last 32

// take(quad, codes) for the quads of a part, reading the tile from its start to its end: two streams half a kilobyte apart halve the
// rate at which memory is read (measured). Inlined by force down to here: sums that stay in memory cost two thirds of the speed.
template <Codes kCodes, Part kPart, class Take>
QUERNEL_INLINE void for_each_quad(const std::uint8_t* tile, const Take& take) {
  if constexpr (kCodes == Codes::u4) {
#pragma GCC unroll 8
    for (std::int64_t j = 0; j < kUnits; ++j) {
      const Bytes both = simd::load_bytes(tile + j * kUnitBytes);
      simd::prefetch(tile + j * kUnitBytes + kPrefetchAhead);
      if constexpr (kPart != Part::high) take(j, simd::low_nibbles(both));
      if constexpr (kPart != Part::low) take(j + kUnits, simd::high_nibbles(both));
    }
  } else {
    constexpr std::int64_t kFirst = kPart == Part::high ? kUnits : 0;
    constexpr std::int64_t kEnd = kPart == Part::low ? kUnits : 2 * kUnits;
#pragma GCC unroll 16
    for (std::int64_t j = kFirst; j < kEnd; ++j) {
      simd::prefetch(tile + j * kUnitBytes + kPrefetchAhead);
      take(j, simd::load_bytes(tile + j * kUnitBytes));
    }
  }
}

template <int kRows>
struct Halves {
  Ints low[kRows], high[kRows];
};

// What multiplies a tile: rows of x at its inputs, kRows of them.
struct TileRows {
  const std::int8_t* x;
  std::int64_t stride;
};

template <int kRows, class Sums>
QUERNEL_INLINE void add_quad(const TileRows& rows, std::int64_t quad, Bytes codes, Sums& sums) {
  for (int m = 0; m < kRows; ++m)
    sums[m] = simd::dot_add(sums[m], codes, simd::load_quad(rows.x + m * rows.stride + 4 * quad));
}

// sums += this tile's products of the codes as they are.
template <Codes kCodes, int kRows>
QUERNEL_INLINE void add_raw_tile(const std::uint8_t* tile, const TileRows& rows, Halves<kRows>& sums) {
  const auto run = [&](auto& low, auto& high) QUERNEL_INLINE_LAMBDA {
    for_each_quad<kCodes, Part::both>(tile, [&](std::int64_t quad, Bytes codes) QUERNEL_INLINE_LAMBDA {
      add_quad<kRows>(rows, quad, codes, quad < kUnits ? low : high);
    });
  };
  if constexpr (kCodes == Codes::u4 && simd::kWidensByTile) {
    decltype(simd::zero_shorts()) low[kRows], high[kRows];
    for (int m = 0; m < kRows; ++m) low[m] = high[m] = simd::zero_shorts();
    run(low, high);
    for (int m = 0; m < kRows; ++m) {
      sums.low[m] = sums.low[m] + simd::widen(low[m]);
      sums.high[m] = sums.high[m] + simd::widen(high[m]);
    }
  } else {
    run(sums.low, sums.high);
  }
}

// low and high may be the same sums.
template <Codes kCodes, class Policy, int kRows, Part kPart>
QUERNEL_INLINE void add_prepared_tile(const std::uint8_t* tile, const TileRows& rows, const Policy& of_low,
                                      const Policy& of_high, Ints (&low)[kRows], Ints (&high)[kRows]) {
  for_each_quad<kCodes, kPart>(tile, [&](std::int64_t quad, Bytes codes) QUERNEL_INLINE_LAMBDA {
    add_quad<kRows>(rows, quad, (quad < kUnits ? of_low : of_high).prepare(codes), quad < kUnits ? low : high);
  });
}

// kRows rows of x from `row` on, kIntLanes outputs from lane `first` of the panel on.
template <Codes kCodes, class Policy, int kRows>
struct PanelRows {
  static constexpr bool kPrepared = Policy::kPrepares && !simd::kWidensByTile && kRows > 2;
  static constexpr bool kRunsOn = kPrepared && Policy::kRunsOn;
  // Sums over groups and of two halves do not fit the registers together: one half after the other, or both in one sum.
  static constexpr bool kOneSum = kPrepared && kRows > 5;

  const Args& args;
  std::int64_t panel, first, row;
  const WeightView& w = args.weight;
  std::int64_t num_tiles = w.tiles();
  std::int64_t num_groups = w.num_groups();
  const std::uint8_t* codes = w.code_bytes + panel * num_tiles * tile_bytes(kCodes) + 4 * first;
  const std::uint8_t* params = w.param_bytes + panel * num_groups * group_bytes(Policy::kGroups);
  const std::int8_t* x = args.x.codes + row * args.x.stride;
  std::int64_t sums_stride = args.x.stride / kSumInputs;
  const std::int32_t* x_sums = args.x.sums + row * sums_stride;

  [[nodiscard]] QUERNEL_INLINE Policy policy(std::int64_t group) const {
    return Policy(w, params + group * group_bytes(Policy::kGroups), first);
  }
  [[nodiscard]] QUERNEL_INLINE std::int32_t x_sum(int m, std::int64_t from, std::int64_t to) const {
    return sum_of(x_sums + m * sums_stride, from, to);
  }

  template <Part kPart>
  QUERNEL_INLINE void add_tile(std::int64_t tile, const Policy& of_low, const Policy& of_high,
                               Halves<kRows>& sums) const {
    const TileRows rows{x + tile * kTileInputs, args.x.stride};
    const std::uint8_t* at = codes + tile * tile_bytes(kCodes);
    if constexpr (kOneSum)
      add_prepared_tile<kCodes, Policy, kRows, kPart>(at, rows, of_low, of_high, sums.low, sums.low);
    else if constexpr (kPrepared)
      add_prepared_tile<kCodes, Policy, kRows, kPart>(at, rows, of_low, of_high, sums.low, sums.high);
    else
      add_raw_tile<kCodes, kRows>(at, rows, sums);
  }
  // Sums of inputs [from, to) begin; those of [middle, to) in the high half, where there is one.
  QUERNEL_INLINE void begin(Halves<kRows>& sums, std::int64_t from, std::int64_t middle, std::int64_t to) const {
    for (int m = 0; m < kRows; ++m) {
      sums.low[m] = kPrepared ? Policy::start(w, x_sum(m, from, middle)) : simd::zero_ints();
      if constexpr (!kOneSum) sums.high[m] = kPrepared ? Policy::start(w, x_sum(m, middle, to)) : simd::zero_ints();
    }
  }
  [[nodiscard]] QUERNEL_INLINE static Ints whole(const Halves<kRows>& sums, int m) {
    if constexpr (kOneSum)
      return sums.low[m];
    else
      return sums.low[m] + sums.high[m];
  }
  template <class Dot>
  QUERNEL_INLINE void add_group(typename Policy::Sum (&total)[kRows], const Policy& group, const Dot& dot,
                                std::int64_t from, std::int64_t to) const {
    for (int m = 0; m < kRows; ++m) {
      if constexpr (kRunsOn)
        total[m] = total[m] + dot(m);
      else if constexpr (kPrepared)
        total[m] = group.add_prepared(total[m], dot(m), x_sum(m, from, to));
      else
        total[m] = group.add(total[m], dot(m), x_sum(m, from, to));
    }
  }

  QUERNEL_INLINE void run_half_tiles(typename Policy::Sum (&total)[kRows]) const {  // groups of 32: two a tile
    Halves<kRows> sums;
    for (std::int64_t t = 0; t < num_tiles; ++t) {
      const std::int64_t from = t * kTileInputs;
      const std::int64_t middle = from + kSumInputs;
      const std::int64_t to = from + kTileInputs;
      const bool both = 2 * t + 1 < num_groups;
      const Policy of_low = policy(2 * t);
      const Policy of_high = policy(both ? 2 * t + 1 : 2 * t);
      if constexpr (kOneSum) {
        begin(sums, from, middle, middle);
        add_tile<Part::low>(t, of_low, of_low, sums);
        add_group(total, of_low, [&](int m) QUERNEL_INLINE_LAMBDA { return sums.low[m]; }, from, middle);
        if (!both) return;
        begin(sums, middle, to, to);
        add_tile<Part::high>(t, of_high, of_high, sums);
        add_group(total, of_high, [&](int m) QUERNEL_INLINE_LAMBDA { return sums.low[m]; }, middle, to);
      } else {
        begin(sums, from, middle, to);
        add_tile<Part::both>(t, of_low, of_high, sums);
        add_group(total, of_low, [&](int m) QUERNEL_INLINE_LAMBDA { return sums.low[m]; }, from, middle);
        if (both) add_group(total, of_high, [&](int m) QUERNEL_INLINE_LAMBDA { return sums.high[m]; }, middle, to);
      }
    }
  }

  QUERNEL_INLINE void run_tiles(typename Policy::Sum (&total)[kRows]) const {
    const std::int64_t group_tiles = w.group_size / kTileInputs;
    Halves<kRows> sums;
    if constexpr (kRunsOn) begin(sums, 0, num_tiles * kTileInputs, num_tiles * kTileInputs);
    for (std::int64_t g = 0; g < num_groups; ++g) {
      const std::int64_t from = g * group_tiles;
      const std::int64_t to = from + group_tiles < num_tiles ? from + group_tiles : num_tiles;
      const Policy group = policy(g);
      if constexpr (!kRunsOn) begin(sums, from * kTileInputs, to * kTileInputs, to * kTileInputs);
      for (std::int64_t t = from; t < to; ++t) add_tile<Part::both>(t, group, group, sums);
      if constexpr (!kRunsOn)
        add_group(
            total, group, [&](int m) QUERNEL_INLINE_LAMBDA { return whole(sums, m); }, from * kTileInputs,
            to * kTileInputs);
    }
    if constexpr (kRunsOn)
      for (int m = 0; m < kRows; ++m) total[m] = whole(sums, m);
  }

  void run() const {
    typename Policy::Sum total[kRows];
    for (auto& sum : total) sum = Policy::none();
    if (w.group_size == kSumInputs)
      run_half_tiles(total);
    else
      run_tiles(total);
    const std::int64_t output = panel * kPanelOutputs + first;
    for (int m = 0; m < kRows; ++m)
      store_outputs(w, args.out + (row + m) * args.out_stride, output,
                    Policy::finish(w, total[m], output, args.x.scales[row + m]));
  }
};

// Rows left over by kRows at a time go on with fewer.
template <Codes kCodes, class Policy, int kRows>
void panel_all_rows(const Args& args, std::int64_t panel, std::int64_t first, std::int64_t row) {
  for (; row + kRows <= args.x.num_rows; row += kRows) PanelRows<kCodes, Policy, kRows>{args, panel, first, row}.run();
  if constexpr (kRows > 1)
    if (row < args.x.num_rows) panel_all_rows<kCodes, Policy, kRows - 1>(args, panel, first, row);
}

template <Codes kCodes>
void few_of(const Args& args) {
  constexpr int kBias = kCodes == Codes::u8 ? simd::kWideByteBias : 0;
  with_groups<kCodes, kBias>(args.weight.groups, [&](auto tag) {
    using Policy = typename decltype(tag)::Type;
    for (std::int64_t panel = args.first_panel; panel < args.end_panel; ++panel)
      for (std::int64_t first = 0; first < kPanelOutputs; first += kIntLanes)
        if (panel * kPanelOutputs + first < args.weight.rows)
          panel_all_rows<kCodes, Policy, kMaxRows>(args, panel, first, 0);
  });
}

inline void run_few(const Args& args) {
  if (args.weight.codes == Codes::u4)
    few_of<Codes::u4>(args);
  else
    few_of<Codes::u8>(args);
}

}  // namespace
}  // namespace quernel::kernels::packed
