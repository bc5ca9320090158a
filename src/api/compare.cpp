// Crosses methods, bits and options: one job and one evaluation a cell, the same text for all.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>

#include "api/compare_table.h"
#include "api/failure.h"
#include "api/loaded_model.h"
#include "base/json.h"
#include "base/sha256.h"
#include "pipeline/version.h"
#include "quernel/quernel.h"
#include "sys/atomic_file.h"
#include "sys/interrupt.h"
#include "sys/json_file.h"
#include "sys/mapped_file.h"

namespace quernel::api {

namespace {

namespace fs = std::filesystem;

using Cell = std::vector<std::pair<std::string, std::string>>;  // axis, value

// Every combination, the last axis fastest.
std::vector<Cell> all_cells(const CompareOptions& options) {
  std::vector<Cell> cells{{}};
  for (const auto& [axis, values] : options.axes) {
    if (values.empty()) raise(Error(Fault::usage, "nothing to compare").in_field(axis));
    std::vector<Cell> longer;
    for (const Cell& cell : cells) {
      for (const std::string& value : values) {
        longer.push_back(cell);
        longer.back().emplace_back(axis, value);
      }
    }
    cells = std::move(longer);
  }
  return cells;
}

std::string cell_name(const Cell& cell) {
  std::string name;
  for (const auto& [axis, value] : cell) {
    name += (name.empty() ? "" : "_") + (axis == "method" || axis == "preprocess" ? value : axis + value);
  }
  for (char& c : name) c = c == '/' ? '-' : c;
  return name;
}

QuantizeOptions cell_options(const CompareOptions& options, const Cell& cell, const std::string& output) {
  QuantizeOptions job = options.base;
  for (const auto& [axis, value] : cell) {
    if (axis == "method") {
      job.method = value;
    } else if (axis == "preprocess") {
      job.preprocess = value;
    } else {
      job.method_options[axis] = value;
    }
  }
  job.output = output;
  job.resume = true;
  job.overwrite = false;
  job.keep_work_dir = false;
  return job;
}

KldOptions judge_options(const CompareOptions& options, const std::string& checkpoint) {
  KldOptions judge;
  judge.model.path = checkpoint;
  judge.model.threads = options.base.threads;
  judge.reference_path = options.base.source;
  judge.text_path = options.text_path;
  judge.first_byte = options.first_byte;
  judge.context = options.context;
  judge.windows = options.windows;
  return judge;
}

std::string text_hash(const std::string& path) {
  const sys::MappedFile file = take(sys::MappedFile::open(path, sys::Access::sequential));
  return sha256_hex(file.bytes());
}

// Everything that decides a row.
Json row_key(const CompareOptions& options, const std::string& source, const std::string& text, const Cell& cell) {
  Json key{{"version", pipeline::kVersion}, {"source", source}, {"text", text}};
  key["judge"] = {options.first_byte, options.context, options.windows};
  key["calibration"] = {options.base.calibration,
                        options.base.calibration_mode,
                        options.base.calibration_samples,
                        options.base.calibration_length,
                        options.base.seed,
                        options.base.precision};
  key["options"] = options.base.method_options;
  key["ignore"] = options.base.ignore;
  key["formats"] = options.base.formats;
  for (const auto& [axis, value] : cell) key["cell"][axis] = value;
  return key;
}

Json stored_row(const std::string& path, const Json& key) {
  const auto row = sys::read_json(path);
  return row.ok() && row->is_object() && row->value("key", Json()) == key ? *row : Json();
}

Json measured_row(const CompareOptions& options, const Cell& cell, const std::string& folder,
                  const Observer& observer) {
  Json row;
  const Json report = Json::parse(quantize(cell_options(options, cell, folder), observer).json);
  const Json kld = Json::parse(evaluate_kld(judge_options(options, folder), observer).json);
  if (report.contains("totals")) {
    row["bits_per_weight"] = report["totals"]["bpw_effective"];
    row["bytes"] = report["totals"]["bytes_out"];
    row["seconds"] = report["totals"]["seconds"];
    row["sane"] = report["sanity"].value("sane", Json());
  }
  row["kld"] = kld["kld"]["mean"];
  row["kld_p99"] = kld["kld"]["p99"];
  row["top1"] = kld["top1"];
  row["ppl"] = kld["ppl"];
  row["ppl_source"] = kld["ppl_ref"];
  return row;
}

// A combination that cannot be is a row that says why; anything else that goes wrong ends the comparison.
Json try_row(const CompareOptions& options, const Cell& cell, const std::string& folder, const Observer& observer) {
  try {
    return measured_row(options, cell, folder, observer);
  } catch (const Failure& failure) {
    if (failure.kind() != FailureKind::bad_model && failure.kind() != FailureKind::usage) throw;
    return {{"refused", failure.what()}};
  }
}

void write_tables(const std::string& folder, const Json& table) {
  take(sys::write_file(folder + "/compare.json", dump_json(table, 1) + "\n"));
  take(sys::write_file(folder + "/compare.md", compare_markdown(table)));
  take(sys::write_file(folder + "/compare.csv", compare_csv(table)));
}

}  // namespace

Report compare(const CompareOptions& options, const Observer& observer) {
  const std::vector<Cell> cells = all_cells(options);
  const std::string& folder = options.base.output;
  take(sys::make_folders(folder + "/cells"));
  const std::string source = source_identity(options.base.source);
  const std::string text = text_hash(options.text_path);
  Json table{{"source", options.base.source}, {"text", options.text_path},
             {"text_sha256", text},           {"first_byte", options.first_byte},
             {"ctx", options.context},        {"windows", options.windows},
             {"rows", Json::array()}};
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::string name = cell_name(cells[i]);
    const std::string path = folder + "/cells/" + name;
    const Json key = row_key(options, source, text, cells[i]);
    if (observer.on_note) observer.on_note(fmt::format("cell {} of {}: {}", i + 1, cells.size(), name));
    Json row = stored_row(path + ".json", key);
    if (row.is_null()) {
      row = try_row(options, cells[i], path, observer);
      row["key"] = key;
      take(sys::write_file(path + ".json", dump_json(row, 1) + "\n"));
      if (!options.keep_checkpoints) fs::remove_all(path);
    }
    row.erase("key");
    Json shown{{"name", name}};
    for (const auto& [axis, value] : cells[i]) shown[axis] = value;
    shown.update(row);
    table["rows"].push_back(std::move(shown));
    write_tables(folder, table);
    take(sys::check_interrupt());
  }
  return {dump_json(table, 1), compare_markdown(table)};
}

}  // namespace quernel::api
