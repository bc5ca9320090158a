#include "pipeline/module_store.h"

#include <bit>
#include <cstring>
#include <filesystem>
#include <span>
#include <string_view>
#include <type_traits>

#include "base/checked.h"
#include "base/json.h"
#include "base/sha256.h"
#include "sys/atomic_file.h"
#include "sys/mapped_file.h"

namespace quernel::pipeline {

namespace {

static_assert(std::endian::native == std::endian::little, "the store keeps numbers as they lie in memory");
constexpr std::string_view kMagic = "QNLMOD1\n";
constexpr std::uint64_t kMaxHeaderBytes = 1 << 16;  // the report of one module is a few hundred bytes

Json report_to_json(const ModuleReport& report) {
  Json json{{"name", report.name},
            {"layer", report.layer},
            {"relative_loss", report.relative_loss},
            {"relative_error", report.relative_error},
            {"cosine", report.cosine},
            {"damp", report.damp},
            {"dead_columns", report.dead_columns},
            {"seconds", report.seconds}};
  if (report.fallback.has_value()) json["fallback"] = *report.fallback;
  return json;
}

Result<ModuleReport> report_from_json(const Json& json, const codec::IntegerMatrix& matrix) {
  ModuleReport report;
  QUERNEL_TRY(report.name, json_string(json, "name"));
  QUERNEL_TRY(report.layer, json_int(json, "layer"));
  QUERNEL_TRY(report.relative_loss, json_number(json, "relative_loss"));
  QUERNEL_TRY(report.relative_error, json_number(json, "relative_error"));
  QUERNEL_TRY(report.cosine, json_number(json, "cosine"));
  QUERNEL_TRY(report.damp, json_number(json, "damp"));
  QUERNEL_TRY(report.dead_columns, json_int(json, "dead_columns"));
  QUERNEL_TRY(report.seconds, json_number(json, "seconds"));
  if (json.contains("fallback")) {
    QUERNEL_TRY(report.fallback, json_string(json, "fallback"));
  }
  report.rows = matrix.rows;
  report.cols = matrix.cols;
  report.bits = matrix.bits;
  report.group_size = matrix.group_size;
  report.resumed = true;
  return report;
}

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

// Takes count values off the front of the payload.
template <class T>
bool take(std::span<const std::byte>& payload, std::int64_t count, std::vector<T>& out) {
  const auto bytes = checked_mul<std::uint64_t>(static_cast<std::uint64_t>(count), sizeof(T));
  if (count < 0 || !bytes.has_value() || *bytes > payload.size()) return false;
  out.resize(static_cast<std::size_t>(count));
  if (*bytes > 0) std::memcpy(out.data(), payload.data(), static_cast<std::size_t>(*bytes));
  payload = payload.subspan(static_cast<std::size_t>(*bytes));
  return true;
}

// The second level, where the header says that there is one.
bool take_levels(const Json& header, std::span<const std::byte>& payload, std::int64_t entries,
                 codec::IntegerMatrix& matrix) {
  if (!header.contains("two_level")) return true;
  matrix.levels.emplace();
  return take(payload, matrix.rows, matrix.levels->row_scales) && take(payload, entries, matrix.levels->group_scales);
}

// The list of outliers, where the header says that there is one.
Result<bool> take_outliers(const Json& header, std::span<const std::byte>& payload, codec::IntegerMatrix& matrix) {
  QUERNEL_TRY(const std::int64_t count, json_int_or(header, "outliers", 0));
  return take(payload, count, matrix.outliers);
}

Result<codec::IntegerMatrix> matrix_from(const Json& header, std::span<const std::byte> payload) {
  codec::IntegerMatrix matrix;
  QUERNEL_TRY(matrix.rows, json_int(header, "rows"));
  QUERNEL_TRY(matrix.cols, json_int(header, "cols"));
  QUERNEL_TRY(const std::int64_t bits, json_int(header, "bits"));
  matrix.bits = static_cast<int>(bits);
  QUERNEL_TRY(matrix.group_size, json_int(header, "group_size"));
  QUERNEL_TRY(matrix.symmetric, json_bool(header, "symmetric"));
  QUERNEL_TRY(const std::string dtype_name, json_string(header, "scale_dtype"));
  QUERNEL_TRY(const std::int64_t groups, json_int(header, "groups"));
  const auto dtype = dtype_from_name(dtype_name);
  const auto elements = checked_mul(matrix.rows, matrix.cols);
  const auto entries = checked_mul(matrix.rows, groups);
  if (!dtype.has_value() || !elements.has_value() || !entries.has_value() || !take(payload, *elements, matrix.codes) ||
      !take(payload, *entries, matrix.scales) || !take(payload, *entries, matrix.zero_points) ||
      !take(payload, matrix.cols, matrix.group_of_column) || !take_levels(header, payload, *entries, matrix))
    return Error(Fault::corrupt, "sizes of a stored module contradict its payload");
  QUERNEL_TRY(const bool has_list, take_outliers(header, payload, matrix));
  if (!has_list || !payload.empty()) return Error(Fault::corrupt, "sizes of a stored module contradict its payload");
  matrix.scale_dtype = *dtype;
  QUERNEL_TRY_STATUS(codec::validate(matrix));
  return matrix;
}

Result<StoredModule> parse(std::span<const std::byte> bytes, const std::string& path) {
  const auto damaged = [&path](const char* what) { return Error(Fault::corrupt, what).in_file(path); };
  std::uint64_t header_bytes = 0;
  if (bytes.size() < kMagic.size() + sizeof(header_bytes) ||
      std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0)
    return damaged("not a stored module");
  std::memcpy(&header_bytes, bytes.data() + kMagic.size(), sizeof(header_bytes));
  bytes = bytes.subspan(kMagic.size() + sizeof(header_bytes));
  if (header_bytes > kMaxHeaderBytes || header_bytes > bytes.size()) return damaged("header length out of range");
  const auto length = static_cast<std::size_t>(header_bytes);
  QUERNEL_TRY(const Json header, parse_json({reinterpret_cast<const char*>(bytes.data()), length}, path));
  const auto payload = bytes.subspan(length);
  QUERNEL_TRY(const std::string sha256, json_string(header, "sha256"));
  if (sha256_hex(payload) != sha256) return damaged("payload does not match its SHA-256");
  StoredModule module;
  QUERNEL_TRY(module.matrix, matrix_from(header, payload));
  QUERNEL_TRY(module.report, report_from_json(header, module.matrix));
  return module;
}

}  // namespace

std::string ModuleStore::path_of(const std::string& module) const { return folder_ + "/" + module; }

bool ModuleStore::contains(const std::string& module) const { return std::filesystem::exists(path_of(module)); }

void ModuleStore::erase(const std::string& module) const {
  std::error_code ignored;
  std::filesystem::remove(path_of(module), ignored);
}

Status ModuleStore::put(const StoredModule& module) const {
  const codec::IntegerMatrix& matrix = module.matrix;
  Sha256 hash;
  std::vector<std::span<const std::byte>> parts = {bytes_of(matrix.codes), bytes_of(matrix.scales),
                                                   bytes_of(matrix.zero_points), bytes_of(matrix.group_of_column)};
  if (matrix.levels) {
    parts.push_back(bytes_of(matrix.levels->row_scales));
    parts.push_back(bytes_of(matrix.levels->group_scales));
  }
  static_assert(sizeof(codec::Outlier) == 12 && std::is_trivially_copyable_v<codec::Outlier>,
                "stored as it lies in memory");
  parts.push_back(bytes_of(matrix.outliers));
  for (const auto& part : parts) hash.update(part);
  Json header = report_to_json(module.report);
  header["rows"] = matrix.rows;
  header["cols"] = matrix.cols;
  header["bits"] = matrix.bits;
  header["group_size"] = matrix.group_size;
  header["symmetric"] = matrix.symmetric;
  header["scale_dtype"] = std::string(to_string(matrix.scale_dtype));
  header["groups"] = matrix.num_groups();
  if (matrix.levels) header["two_level"] = true;
  if (!matrix.outliers.empty()) header["outliers"] = matrix.outliers.size();
  header["sha256"] = hash.finish_hex();
  const std::string text = dump_json(header);
  const std::uint64_t length = text.size();
  QUERNEL_TRY(sys::AtomicFile file, sys::AtomicFile::create(path_of(module.report.name)));
  QUERNEL_TRY_STATUS(file.write(kMagic));
  QUERNEL_TRY_STATUS(file.write(std::as_bytes(std::span(&length, 1))));
  QUERNEL_TRY_STATUS(file.write(text));
  for (const auto& part : parts) QUERNEL_TRY_STATUS(file.write(part));
  return file.commit();
}

Result<StoredModule> ModuleStore::get(const std::string& module) const {
  QUERNEL_TRY(const sys::MappedFile file, sys::MappedFile::open(path_of(module), sys::Access::sequential));
  auto stored = parse(file.bytes(), file.path());
  if (!stored.ok()) return std::move(stored).error().in_file(file.path());
  if (stored->report.name != module)
    return Error(Fault::corrupt, "stored module has another name")
        .in_file(file.path())
        .expect(module, stored->report.name);
  return stored;
}

}  // namespace quernel::pipeline
