#include "api/compare_table.h"

#include <fmt/format.h>

#include <array>
#include <iterator>

namespace quernel::api {

namespace {

struct Column {
  const char* key;
  const char* title;
  int digits;
  double factor;
};

constexpr std::array kColumns = {Column{"bits_per_weight", "bits a weight", 3, 1.0},
                                 Column{"ppl", "perplexity", 3, 1.0},
                                 Column{"kld", "KL divergence", 4, 1.0},
                                 Column{"kld_p99", "99 %", 3, 1.0},
                                 Column{"top1", "top-1 %", 1, 100.0},
                                 Column{"seconds", "seconds", 1, 1.0}};

std::string number(const Json& row, const Column& column) {
  const auto value = row.find(column.key);
  if (value == row.end() || !value->is_number()) return "";
  return fmt::format("{:.{}f}", value->get<double>() * column.factor, column.digits);
}

}  // namespace

std::string compare_markdown(const Json& table) {
  std::string text = "| job |";
  std::string rule = "|---|";
  for (const Column& column : kColumns) {
    text += fmt::format(" {} |", column.title);
    rule += "---:|";
  }
  text += "\n" + rule + "\n";
  std::string refusals;
  double source = 0.0;
  for (const Json& row : table["rows"]) {
    const std::string name = row["name"];
    if (row.contains("refused")) {
      fmt::format_to(std::back_inserter(refusals), "* {}: {}\n", name, row["refused"].get<std::string>());
      continue;
    }
    source = row.value("ppl_source", source);
    fmt::format_to(std::back_inserter(text), "| {} |", name);
    for (const Column& column : kColumns) fmt::format_to(std::back_inserter(text), " {} |", number(row, column));
    text += row.value("sane", Json(true)) == Json(false) ? " NOT SANE\n" : "\n";
  }
  if (source > 0.0)
    fmt::format_to(std::back_inserter(text), "\nPerplexity of the source on this text: {:.3f}.\n", source);
  if (!refusals.empty()) text += "\nRefused:\n" + refusals;
  return text;
}

std::string compare_csv(const Json& table) {
  std::string csv = "name";
  for (const Column& column : kColumns) fmt::format_to(std::back_inserter(csv), ",{}", column.key);
  csv += "\n";
  for (const Json& row : table["rows"]) {
    csv += row["name"].get<std::string>();
    for (const Column& column : kColumns) {
      const auto value = row.find(column.key);
      csv +=
          value == row.end() || !value->is_number() ? std::string(",") : fmt::format(",{:.9g}", value->get<double>());
    }
    csv += "\n";
  }
  return csv;
}

}  // namespace quernel::api
