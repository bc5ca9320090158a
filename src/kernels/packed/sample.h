// Weights and rows of every kind, random or extreme, on which variants are compared: by the check before a variant is used, by the tests and by
// the campaign of random cases.
//
// Exact    the same seed gives the same bytes everywhere
// Errors   sample_weight: those of PackedWeight::make
#pragma once

#include <cstdint>
#include <vector>

#include "base/rng.h"
#include "kernels/packed/pack.h"
#include "kernels/packed/packed.h"

namespace quernel::kernels::packed {

enum class Data { random, all_minimum, all_maximum, alternating };
inline constexpr Data kAllData[] = {Data::random, Data::all_minimum, Data::all_maximum, Data::alternating};

struct Kind {
  Codes codes;
  Groups groups;
};
std::vector<Kind> kinds();  // all that are supported
// Of groups of 16 or 32 alone.
constexpr bool has_super(Groups groups) { return param_bytes_of(groups).super > 0; }

// codes, where not null, receives what went in [rows, cols]: entries of the table where there is one. Scales and minima are finite; two levels as
// the format allows them, so that no code leaves INT8. group_size -1: one group a row.
Result<PackedWeight> sample_weight(const Kind& kind, std::int64_t rows, std::int64_t cols, std::int64_t group_size,
                                   Data data, CounterRng& rng, std::vector<std::uint8_t>* codes = nullptr);

// Rows of codes -127 .. 127 with their memory.
struct SampleRows {
  std::vector<std::int8_t> codes;
  std::vector<float> scales;
  std::vector<std::int32_t> sums;
  std::vector<std::int32_t> totals;
  RowsView view;

  // Sums of 16, or of whole groups where num_rows is odd: kernels take both.
  SampleRows(std::int64_t num_rows, std::int64_t cols, std::int64_t group_size, Data data, CounterRng& rng);
};

// What an entry writes for the panels [first, end): out [num_rows, rows + kOutMargin], kUntouched where it wrote nothing.
inline constexpr float kUntouched = 12345.0F;
inline constexpr std::int64_t kOutMargin = 3;
std::vector<float> run_entry(Run entry, const WeightView& weight, const RowsView& x, std::int64_t first_panel,
                             std::int64_t end_panel);

}  // namespace quernel::kernels::packed
