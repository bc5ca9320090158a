#include "io/safetensors_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/json.h"
#include "io/entry_checks.h"
#include "io/limits.h"

namespace quernel::io {
namespace {

constexpr std::string_view kShardSuffix = ".safetensors";

Error index_error(Fault fault, std::string message, const std::string& file_name) {
  return Error(fault, std::move(message)).in_file(file_name);
}

}  // namespace

Result<std::vector<SafetensorsIndexLine>> parse_safetensors_index(std::string_view text, const std::string& file_name) {
  QUERNEL_TRY(const Json root, parse_json(text, file_name));
  if (!root.is_object() || !root.contains("weight_map") || !root["weight_map"].is_object()) {
    return index_error(Fault::corrupt, "index has no map of tensors to files", file_name).in_field("weight_map");
  }
  const Json& map = root["weight_map"];
  if (map.size() > kMaxTensorsPerModel) {
    return index_error(Fault::limit_exceeded, "too many tensors in the index", file_name)
        .in_field("weight_map")
        .expect(fmt::format("at most {}", kMaxTensorsPerModel), fmt::format("{}", map.size()));
  }
  std::vector<SafetensorsIndexLine> lines;
  lines.reserve(map.size());
  for (const auto& [tensor, file] : map.items()) {
    if (!is_tensor_name(tensor)) {
      return index_error(Fault::corrupt, "tensor name is empty, too long or has control characters", file_name)
          .in_field("weight_map");
    }
    if (!file.is_string()) {
      return index_error(Fault::corrupt, "file of a tensor is not a string", file_name).in_tensor(tensor);
    }
    const auto& name = file.get_ref<const std::string&>();
    if (!sys::is_plain_file_name(name) || !name.ends_with(kShardSuffix)) {
      constexpr std::size_t kShown = 80;
      return index_error(Fault::corrupt, "file of a tensor is not a plain name", file_name)
          .in_tensor(tensor)
          .in_field("weight_map")
          .expect("a name like model-00001-of-00002.safetensors", dump_json(Json(name.substr(0, kShown))));
    }
    lines.push_back({tensor, name});
  }
  return lines;
}

Result<SafetensorsSet> SafetensorsSet::open(const std::string& folder) {
  SafetensorsSet set;
  if (auto single = SafetensorsFile::open_contained(folder, kSafetensorsSingleName); single.ok()) {
    set.files_.push_back(std::move(single).value());
    for (const SafetensorsEntry& entry : set.files_.front().entries()) {
      set.tensors_.push_back({&set.files_.front(), &entry});
    }
  } else if (single.error().fault != Fault::not_found) {
    return std::move(single).error();
  } else {
    auto index = sys::MappedFile::open_contained(folder, kSafetensorsIndexName, sys::Access::sequential);
    if (!index.ok() && index.error().fault == Fault::not_found) {
      return Error(Fault::not_found, "folder holds no safetensors weights")
          .in_file(folder)
          .expect(fmt::format("{} or {}", kSafetensorsSingleName, kSafetensorsIndexName), "neither");
    }
    if (!index.ok()) return std::move(index).error();
    QUERNEL_TRY(auto lines, parse_safetensors_index(index->text(), index->path()));
    set.has_index_ = true;
    QUERNEL_TRY_STATUS(set.load_shards(folder, std::move(lines)));
  }
  set.index_by_name();
  return set;
}

Status SafetensorsSet::load_shards(const std::string& folder, std::vector<SafetensorsIndexLine> lines) {
  const std::string index_path = folder + "/" + kSafetensorsIndexName;
  std::sort(lines.begin(), lines.end(),
            [](const auto& a, const auto& b) { return a.file != b.file ? a.file < b.file : a.tensor < b.tensor; });
  std::vector<std::string> names;
  for (const auto& line : lines) {
    if (names.empty() || names.back() != line.file) names.push_back(line.file);
  }
  if (names.size() > kMaxShards) {
    return index_error(Fault::limit_exceeded, "too many shards", index_path)
        .in_field("weight_map")
        .expect(fmt::format("at most {}", kMaxShards), fmt::format("{}", names.size()));
  }
  files_.reserve(names.size());  // places point into it
  auto line = lines.begin();
  for (const std::string& name : names) {
    auto opened = SafetensorsFile::open_contained(folder, name);
    if (!opened.ok()) return std::move(opened).error().with_hint(fmt::format("named by {}", kSafetensorsIndexName));
    files_.push_back(std::move(opened).value());
    const SafetensorsFile& file = files_.back();
    const auto end = std::find_if(line, lines.end(), [&name](const auto& other) { return other.file != name; });
    for (const SafetensorsEntry& entry : file.entries()) {
      const auto listed = std::lower_bound(line, end, entry.name,
                                           [](const auto& other, const std::string& n) { return other.tensor < n; });
      if (listed != end && listed->tensor == entry.name) {
        tensors_.push_back({&file, &entry});
      } else {
        unlisted_.push_back(fmt::format("{}: {}", name, entry.name));
      }
    }
    for (; line != end; ++line) {
      if (file.find(line->tensor) != nullptr) continue;
      return index_error(Fault::corrupt, "tensor of the index is not in its shard", index_path)
          .in_tensor(line->tensor)
          .expect("in " + name, "absent");
    }
  }
  return ok_status();
}

void SafetensorsSet::index_by_name() {
  by_name_.resize(tensors_.size());
  std::iota(by_name_.begin(), by_name_.end(), 0U);
  std::sort(by_name_.begin(), by_name_.end(),
            [this](auto a, auto b) { return tensors_[a].entry->name < tensors_[b].entry->name; });
}

const SafetensorsPlace* SafetensorsSet::find(const std::string& name) const {
  const auto found = std::lower_bound(
      by_name_.begin(), by_name_.end(), name,
      [this](std::uint32_t index, const std::string& wanted) { return tensors_[index].entry->name < wanted; });
  if (found == by_name_.end() || tensors_[*found].entry->name != name) return nullptr;
  return &tensors_[*found];
}

Result<TensorView> SafetensorsSet::view(const std::string& name) const {
  const SafetensorsPlace* place = find(name);
  if (place == nullptr) {
    return Error(Fault::not_found, "no such tensor in the model")
        .in_tensor(name)
        .in_file(files_.empty() ? "" : files_.front().path());
  }
  return place->file->view(*place->entry);
}

}  // namespace quernel::io
