#include "export/manifest.h"

#include <fmt/format.h>

#include "base/sha256.h"
#include "sys/atomic_file.h"
#include "sys/json_file.h"

namespace quernel::exporting {
namespace {

Result<const Json*> object_at(const Json& json, const std::string& key) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_object()) {
    return Error(Fault::corrupt, "manifest lacks an object").in_field(key);
  }
  return &*found;
}

Result<Shape> shape_of(const Json& json) {
  const auto found = json.find("shape");
  if (found == json.end() || !found->is_array()) return Error(Fault::corrupt, "no shape").in_field("shape");
  Shape shape;
  for (const Json& size : *found) {
    if (!size.is_number_integer()) return Error(Fault::corrupt, "a size is no integer").in_field("shape");
    shape.push_back(size.get<std::int64_t>());
  }
  return shape;
}

Result<std::vector<std::string>> strings_at(const Json& json, const std::string& key) {
  std::vector<std::string> out;
  const auto found = json.find(key);
  if (found == json.end()) return out;
  if (!found->is_array()) return Error(Fault::corrupt, "not a list").in_field(key);
  for (const Json& value : *found) {
    if (!value.is_string()) return Error(Fault::corrupt, "not a list of names").in_field(key);
    out.push_back(value.get<std::string>());
  }
  return out;
}

Result<ManifestTensor> tensor_from_json(const Json& json) {
  if (!json.is_object()) return Error(Fault::corrupt, "not an object").in_field("tensors");
  ManifestTensor tensor;
  QUERNEL_TRY(tensor.dtype, json_string(json, "dtype"));
  QUERNEL_TRY(tensor.shape, shape_of(json));
  QUERNEL_TRY(tensor.file, json_string(json, "file"));
  QUERNEL_TRY(tensor.sha256, json_string(json, "sha256"));
  return tensor;
}

Result<ManifestModule> module_from_json(const Json& json) {
  if (!json.is_object()) return Error(Fault::corrupt, "not an object").in_field("modules");
  ManifestModule module;
  QUERNEL_TRY(module.tensors, strings_at(json, "tensors"));
  QUERNEL_TRY(module.dequantized_sha256, json_string(json, "dequantized_sha256"));
  return module;
}

}  // namespace

Json to_json(const Manifest& manifest) {
  Json out = Json::object();
  out["schema"] = kManifestSchema;
  out["tool"] = manifest.tool;
  if (!manifest.format.empty()) out["format"] = manifest.format;
  if (!manifest.formats.empty()) out["formats"] = manifest.formats;
  out["complete"] = manifest.complete;
  out["source"] = manifest.source;
  out["quantization"] = manifest.quantization;
  out["files"] = manifest.files;
  out["tensors"] = Json::object();
  for (const auto& [name, tensor] : manifest.tensors) {
    out["tensors"][name] = {
        {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"file", tensor.file}, {"sha256", tensor.sha256}};
  }
  out["modules"] = Json::object();
  for (const auto& [name, module] : manifest.modules) {
    out["modules"][name] = {{"tensors", module.tensors}, {"dequantized_sha256", module.dequantized_sha256}};
  }
  return out;
}

Result<Manifest> manifest_from_json(const Json& json) {
  if (!json.is_object()) return Error(Fault::corrupt, "manifest is no object");
  QUERNEL_TRY(const std::int64_t schema, json_int(json, "schema"));
  if (schema != kManifestSchema) {
    return Error(Fault::unsupported, "manifest of another schema")
        .in_field("schema")
        .expect(fmt::to_string(kManifestSchema), fmt::to_string(schema));
  }
  Manifest manifest;
  QUERNEL_TRY(manifest.tool, json_string(json, "tool"));
  QUERNEL_TRY(manifest.format, json_string_or(json, "format", ""));
  QUERNEL_TRY(manifest.formats, strings_at(json, "formats"));
  QUERNEL_TRY(manifest.complete, json_bool(json, "complete"));
  QUERNEL_TRY(const Json* source, object_at(json, "source"));
  manifest.source = *source;
  QUERNEL_TRY(const Json* quantization, object_at(json, "quantization"));
  manifest.quantization = *quantization;
  QUERNEL_TRY(manifest.files, strings_at(json, "files"));
  QUERNEL_TRY(const Json* tensors, object_at(json, "tensors"));
  for (const auto& [name, value] : tensors->items()) {
    auto tensor = tensor_from_json(value);
    if (!tensor.ok()) return std::move(tensor).error().in_tensor(name);
    manifest.tensors.emplace(name, std::move(tensor).value());
  }
  QUERNEL_TRY(const Json* modules, object_at(json, "modules"));
  for (const auto& [name, value] : modules->items()) {
    auto module = module_from_json(value);
    if (!module.ok()) return std::move(module).error().in_tensor(name);
    manifest.modules.emplace(name, std::move(module).value());
  }
  return manifest;
}

Result<Manifest> read_manifest(const std::string& folder) {
  const std::string own_folder = folder + "/" + kOwnFolder;
  QUERNEL_TRY(const Json json, sys::read_json_contained(own_folder, "manifest.json"));
  auto manifest = manifest_from_json(json);
  if (!manifest.ok()) return std::move(manifest).error().in_file(own_folder + "/manifest.json");
  return manifest;
}

Status write_manifest(const std::string& folder, const Manifest& manifest) {
  QUERNEL_TRY_STATUS(sys::make_folders(folder + "/" + kOwnFolder));
  return sys::write_file(folder + "/" + kManifestPath, dump_json(to_json(manifest), 1) + "\n");
}

std::string dequantized_sha256(const codec::IntegerMatrix& matrix) {
  Sha256 hash;
  const std::int64_t groups = matrix.num_groups();
  std::vector<float> row(static_cast<std::size_t>(matrix.cols));
  for (std::int64_t r = 0; r < matrix.rows; ++r) {
    const std::uint8_t* codes = matrix.codes.data() + r * matrix.cols;
    for (std::size_t k = 0; k < row.size(); ++k) {
      const auto place = static_cast<std::size_t>(r * groups + matrix.group_of_column[k]);
      row[k] = matrix.scales[place] * static_cast<float>(int{codes[k]} - int{matrix.zero_points[place]});
    }
    for (const codec::Outlier& one : matrix.outliers) {
      if (one.row == r) row[static_cast<std::size_t>(one.col)] = one.value;
    }
    hash.update(std::as_bytes(std::span(row)));
  }
  return hash.finish_hex();
}

}  // namespace quernel::exporting
