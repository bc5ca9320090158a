#include "export/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <set>

#include "base/sha256.h"
#include "export/dense_tensors.h"
#include "export/manifest.h"
#include "io/safetensors_set.h"
#include "sys/mapped_file.h"

namespace quernel::exporting {
namespace {

Check failed(const std::string& name, std::string detail) { return {name, Outcome::failed, 0, std::move(detail)}; }
Check skipped(const std::string& name, std::string detail) { return {name, Outcome::skipped, 0, std::move(detail)}; }
Check passed(const std::string& name, std::int64_t compared) { return {name, Outcome::passed, compared, {}}; }

// Takes the text up to the next line end off the front.
std::string_view take_line(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(text.size(), line.size() + 1));
  return line;
}

// The first line in which the list as stored and the list as found differ.
std::string first_difference(std::string_view stored, std::string_view found) {
  while (!stored.empty() && !found.empty()) {
    const std::string_view a = take_line(stored);
    const std::string_view b = take_line(found);
    if (a != b) return fmt::format("listed '{}', found '{}'", a, b);
  }
  if (!stored.empty()) return fmt::format("listed '{}', found nothing", take_line(stored));
  return fmt::format("'{}' is not listed", take_line(found));
}

Check check_files(const std::string& folder) {
  const auto stored = sys::MappedFile::open_contained(folder + "/" + kOwnFolder, "SHA256SUMS");
  if (!stored.ok()) return failed("files", to_string(stored.error()));
  const auto found = checksums_of(folder);
  if (!found.ok()) return failed("files", to_string(found.error()));
  const std::string_view text = stored->text();
  if (text == *found) return passed("files", std::count(found->begin(), found->end(), '\n'));
  return failed("files", first_difference(text, *found));
}

// Stored tensors against the manifest, both ways.
Check check_tensors(const std::string& folder, const Manifest& manifest) {
  const auto set = io::SafetensorsSet::open(folder);
  if (!set.ok()) return failed("tensors", to_string(set.error()));
  std::set<std::string> missing;
  for (const auto& [name, tensor] : manifest.tensors) missing.insert(name);
  for (const io::SafetensorsPlace& place : set->tensors()) {
    const std::string& name = place.entry->name;
    const auto known = manifest.tensors.find(name);
    if (known == manifest.tensors.end()) return failed("tensors", fmt::format("{} is not in the manifest", name));
    missing.erase(name);
    const ManifestTensor& expected = known->second;
    const std::string hash = sha256_hex(place.file->bytes(*place.entry));
    place.file->release(*place.entry);
    if (expected.dtype != place.entry->dtype_name || expected.shape != place.entry->shape) {
      return failed("tensors", fmt::format("{} is {} {}, the manifest says {} {}", name, place.entry->dtype_name,
                                           quernel::to_string(place.entry->shape), expected.dtype,
                                           quernel::to_string(expected.shape)));
    }
    if (!place.file->path().ends_with("/" + expected.file)) {
      return failed("tensors",
                    fmt::format("{} lies in {}, the manifest says {}", name, place.file->path(), expected.file));
    }
    if (hash != expected.sha256)
      return failed("tensors", fmt::format("{} has SHA-256 {}, not {}", name, hash, expected.sha256));
  }
  if (!missing.empty()) return failed("tensors", fmt::format("{} is missing", *missing.begin()));
  return passed("tensors", static_cast<std::int64_t>(manifest.tensors.size()));
}

Check check_modules(const model::Checkpoint& written, const Manifest& manifest) {
  for (const auto& [name, module] : manifest.modules) {
    if (!written.is_quantized(name)) return failed("modules", fmt::format("{} is not quantized", name));
    const auto matrix = written.read_quantized(name);
    if (!matrix.ok()) return failed("modules", to_string(matrix.error()));
    if (const Status valid = codec::validate(*matrix); !valid.ok()) {
      return failed("modules", fmt::format("{}: {}", name, to_string(valid.error())));
    }
    const std::string hash = dequantized_sha256(*matrix);
    if (hash != module.dequantized_sha256) {
      return failed("modules",
                    fmt::format("{} dequantizes to SHA-256 {}, not {}", name, hash, module.dequantized_sha256));
    }
    for (const std::string& tensor : module.tensors) written.release(tensor);
  }
  return passed("modules", static_cast<std::int64_t>(manifest.modules.size()));
}

template <class T>
std::string first_place(const char* what, const std::vector<T>& a, const std::vector<T>& b, std::int64_t width) {
  if (a.size() != b.size()) return fmt::format("{} {}, expected {}", b.size(), what, a.size());
  const auto place = static_cast<std::int64_t>(std::mismatch(a.begin(), a.end(), b.begin()).first - a.begin());
  const auto at = static_cast<std::size_t>(place);
  return fmt::format("{} differ in row {}, column {}: expected {}, found {}", what, place / width, place % width, a[at],
                     b[at]);
}

// Empty if the matrices are the same bit for bit, else the first difference.
std::string difference(const codec::IntegerMatrix& expected, const codec::IntegerMatrix& found) {
  if (expected.rows != found.rows || expected.cols != found.cols) {
    return fmt::format("shape [{}, {}], expected [{}, {}]", found.rows, found.cols, expected.rows, expected.cols);
  }
  const std::int64_t groups = expected.num_groups();
  if (expected.bits != found.bits) return fmt::format("{} bits, expected {}", found.bits, expected.bits);
  if (expected.codes != found.codes) return first_place("codes", expected.codes, found.codes, expected.cols);
  if (expected.scales != found.scales) return first_place("scales", expected.scales, found.scales, groups);
  if (expected.zero_points != found.zero_points) {
    return first_place("zero points", expected.zero_points, found.zero_points, groups);
  }
  if (expected.levels.has_value() != found.levels.has_value()) return "another number of levels";
  if (expected.levels && (expected.levels->row_scales != found.levels->row_scales ||
                          expected.levels->group_scales != found.levels->group_scales)) {
    return "levels of scales differ";
  }
  if (expected.outliers != found.outliers) return "lists of outliers differ";
  if (expected.group_of_column != found.group_of_column) {
    return first_place("groups", expected.group_of_column, found.group_of_column, expected.cols);
  }
  return {};
}

// Against the solver's own matrices instead of the hashes of them.
Check check_results(const model::Checkpoint& written, const ExportInput& expected) {
  for (const std::string& name : expected.modules) {
    const auto wanted = expected.read(name);
    if (!wanted.ok()) return failed("results", to_string(wanted.error()));
    const auto matrix = written.read_quantized(name);
    if (!matrix.ok()) return failed("results", to_string(matrix.error()));
    const std::string where = difference(**wanted, *matrix);
    if (!where.empty()) return failed("results", fmt::format("{}: {}", name, where));
  }
  return passed("results", static_cast<std::int64_t>(expected.modules.size()));
}

std::set<std::string> quantized_modules(const Manifest& manifest) {
  std::set<std::string> names;
  for (const auto& [name, module] : manifest.modules) names.insert(name);
  return names;
}

DType gguf_dense_dtype(const Manifest& manifest) {
  const auto named = json_string_or(manifest.source, "dense_dtype", "F16");
  return named.ok() ? dtype_from_name(*named).value_or(DType::f16) : DType::f16;
}

// Bytes that the source gives for a tensor against the bytes stored.
std::string dense_difference(const DenseTensors& dense, const io::PlannedTensor& tensor,
                             const model::Checkpoint& written) {
  const model::TensorInfo* info = written.find(tensor.name);
  if (info == nullptr) return "missing";
  if (!info->direct || info->stored_type != to_string(tensor.dtype) || info->shape != tensor.shape) {
    return fmt::format("{} {}, expected {} {}", info->stored_type, quernel::to_string(info->shape),
                       to_string(tensor.dtype), quernel::to_string(tensor.shape));
  }
  const auto view = written.view(tensor.name);
  if (!view.ok()) return to_string(view.error());
  std::size_t offset = 0;
  std::string where;
  const Status streamed = dense.stream(tensor, [&](std::span<const std::byte> expected) {
    const auto found = view->bytes.subspan(offset, std::min(expected.size(), view->bytes.size() - offset));
    const auto [a, b] = std::mismatch(expected.begin(), expected.end(), found.begin(), found.end());
    if (a != expected.end() && where.empty())
      where = fmt::format("byte {} differs", offset + static_cast<std::size_t>(a - expected.begin()));
    offset += found.size();
    return ok_status();
  });
  written.release(tensor.name);
  return streamed.ok() ? where : to_string(streamed.error());
}

// What a checkpoint is held against.
struct Reference {
  const model::Checkpoint* source = nullptr;  // null: nothing was given
  TensorOrigin origin;                        // as the writer was given it
  bool by_user = false;                       // the model that the job was given, not what its transforms made of it
};

Check check_dense(const model::Checkpoint& written, const Manifest& manifest, const Reference& reference) {
  const DenseTensors dense(*reference.source, quantized_modules(manifest), gguf_dense_dtype(manifest),
                           reference.origin);
  for (const io::PlannedTensor& tensor : dense.plan()) {
    const std::string where = dense_difference(dense, tensor, written);
    if (!where.empty()) return failed("dense", fmt::format("{}: {}", tensor.name, where));
  }
  return passed("dense", static_cast<std::int64_t>(dense.plan().size()));
}

Result<ModuleCloseness> closeness_of(const model::Checkpoint& written, const Reference& reference,
                                     const std::string& name) {
  const model::Checkpoint* other = reference.origin ? reference.origin(name + ".weight") : nullptr;
  const model::Checkpoint& source = other != nullptr ? *other : *reference.source;
  QUERNEL_TRY(const codec::IntegerMatrix matrix, written.read_quantized(name));
  QUERNEL_TRY(const Matrix weight, source.read_weight(name));
  if (weight.rows() != matrix.rows || weight.cols() != matrix.cols) {
    return Error(Fault::verification_failed, "source has another shape").in_tensor(name);
  }
  double error = 0.0;
  double norm = 0.0;
  ModuleCloseness out{.name = name};
  const std::int64_t groups = matrix.num_groups();
  const Matrix values = codec::dequantize(matrix);
  for (std::int64_t row = 0; row < matrix.rows; ++row) {
    for (std::int64_t col = 0; col < matrix.cols; ++col) {
      const auto place = static_cast<std::size_t>(row * groups + matrix.group_of_column[static_cast<std::size_t>(col)]);
      const double w = double{weight(row, col)};
      const double difference = w - double{values(row, col)};
      error += difference * difference;
      norm += w * w;
      const double steps = std::abs(difference) / double{matrix.scales[place]};
      out.max_steps = std::max(out.max_steps, steps);
      out.rms_steps += steps * steps;
    }
  }
  out.relative_error = norm > 0.0 ? std::sqrt(error / norm) : std::sqrt(error);
  out.rms_steps = std::sqrt(out.rms_steps / static_cast<double>(matrix.rows * matrix.cols));
  source.release(name + ".weight");
  return out;
}

Check check_closeness(const model::Checkpoint& written, const Manifest& manifest, const Reference& reference,
                      std::vector<ModuleCloseness>& list) {
  const double bound = closeness_bound(written.quantization() ? written.quantization()->bits : 0);
  std::string first;
  for (const auto& [name, module] : manifest.modules) {
    auto one = closeness_of(written, reference, name);
    if (!one.ok()) return failed("closeness", to_string(one.error()));
    if (!(one->relative_error <= bound) && !(one->rms_steps <= kMostSteps) && first.empty()) {
      first = fmt::format("{}: relative error {:.4f} is above {}, {:.2f} steps of the grid above {}", name,
                          one->relative_error, bound, one->rms_steps, kMostSteps);
    }
    list.push_back(std::move(*one));
  }
  return first.empty() ? passed("closeness", static_cast<std::int64_t>(list.size())) : failed("closeness", first);
}

// Everything that needs no source; the opened checkpoint, if the reader takes it.
std::optional<model::Checkpoint> check_alone(const std::string& folder, const Manifest& manifest, Verification& out) {
  out.checks.push_back(check_files(folder));
  if (!manifest.complete) out.checks.push_back(failed("manifest", "the job that wrote this folder did not finish"));
  out.checks.push_back(check_tensors(folder, manifest));
  auto written = model::Checkpoint::open(folder);
  if (!written.ok()) {
    out.checks.push_back(failed("reopen", to_string(written.error())));
    return std::nullopt;
  }
  out.checks.push_back(passed("reopen", 1));
  out.checks.push_back(check_modules(*written, manifest));
  return std::move(*written);
}

void check_against(const model::Checkpoint& written, const Manifest& manifest, const Reference& reference,
                   Verification& out) {
  if (reference.source == nullptr) {
    out.checks.push_back(skipped("dense", "no source given"));
    out.checks.push_back(skipped("closeness", "no source given"));
    return;
  }
  if (reference.by_user && manifest.source.contains("prepared_by")) {
    const std::string why = fmt::format("the source was changed before ({}); its weights are not these weights",
                                        manifest.source.at("prepared_by").dump());
    out.checks.push_back(skipped("dense", why));
    out.checks.push_back(skipped("closeness", why));
    return;
  }
  out.checks.push_back(check_dense(written, manifest, reference));
  out.checks.push_back(check_closeness(written, manifest, reference, out.closeness));
}

// A folder whose manifest cannot be read is still worth a look at its files, if it has a list of them.
Result<Manifest> manifest_or_damage(const std::string& folder, Verification& out) {
  auto manifest = read_manifest(folder);
  if (manifest.ok()) return manifest;
  const auto list = sys::MappedFile::open_contained(folder + "/" + kOwnFolder, "SHA256SUMS");
  if (!list.ok()) {
    return Error(Fault::not_found, "no checkpoint that quernel wrote")
        .in_file(folder)
        .expect(kManifestPath, "nothing readable");
  }
  out.checks.push_back(check_files(folder));
  out.checks.push_back(failed("manifest", to_string(manifest.error())));
  return Manifest{};
}

}  // namespace

const char* to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::passed: return "passed";
    case Outcome::failed: return "failed";
    case Outcome::skipped: return "skipped";
  }
  return "";
}

bool Verification::passed() const {
  return std::none_of(checks.begin(), checks.end(),
                      [](const Check& check) { return check.outcome == Outcome::failed; });
}

const Check* Verification::find(const std::string& name) const {
  const auto found = std::find_if(checks.begin(), checks.end(), [&](const Check& check) { return check.name == name; });
  return found == checks.end() ? nullptr : &*found;
}

double Verification::max_relative_error() const {
  double largest = 0.0;
  for (const ModuleCloseness& module : closeness) largest = std::max(largest, module.relative_error);
  return largest;
}

// Plain rounding of Gaussian weights gives about 0.006, 0.1, 0.2 and 0.45 for 8, 4, 3 and 2 bits; error feedback and searched
// scales up to twice that; an unrelated matrix 1.0 or more.
double closeness_bound(int bits) {
  switch (bits) {
    case 8: return 0.05;
    case 4: return 0.4;
    case 3: return 0.7;
    default: return 0.98;
  }
}

Result<Verification> verify_checkpoint(const std::string& folder, const model::Checkpoint* source) {
  Verification out;
  out.folder = folder;
  QUERNEL_TRY(const Manifest manifest, manifest_or_damage(folder, out));
  if (!out.checks.empty()) return out;
  const std::optional<model::Checkpoint> written = check_alone(folder, manifest, out);
  if (written) check_against(*written, manifest, {source, {}, true}, out);
  return out;
}

Result<Verification> verify_result(const std::string& folder, const ExportInput& expected) {
  Verification out;
  out.folder = folder;
  QUERNEL_TRY(const Manifest manifest, manifest_or_damage(folder, out));
  if (!out.checks.empty()) return out;
  const std::optional<model::Checkpoint> written = check_alone(folder, manifest, out);
  if (!written) return out;
  out.checks.push_back(check_results(*written, expected));
  check_against(*written, manifest, {expected.source, expected.origin, false}, out);
  return out;
}

Result<std::vector<Verification>> verify_output(const std::string& output, const model::Checkpoint* source) {
  std::vector<Verification> out;
  const auto manifest = read_manifest(output);
  if (!manifest.ok() || manifest->formats.empty()) {
    QUERNEL_TRY(Verification one, verify_checkpoint(output, source));
    out.push_back(std::move(one));
    return out;
  }
  Verification whole;
  whole.folder = output;
  whole.checks.push_back(check_files(output));
  out.push_back(std::move(whole));
  for (const std::string& folder : checkpoint_folders(output, manifest->formats)) {
    QUERNEL_TRY(Verification one, verify_checkpoint(folder, source));
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace quernel::exporting
