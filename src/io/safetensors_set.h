// The weights of a model folder: model.safetensors alone, or shards with model.safetensors.index.json.
//
// The single file wins where both exist, as it does for the libraries that write them. Shards are opened beneath the
// folder by plain names only. Every tensor of the index is in the shard it names; tensors of a shard that the index
// does not name are left out and reported.
//
// Limits   io/limits.h
// Errors   as io/safetensors.h; corrupt for an index that contradicts its shards or names a path
// Threads  const functions from any thread
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "io/safetensors.h"

namespace quernel::io {

constexpr const char* kSafetensorsSingleName = "model.safetensors";
constexpr const char* kSafetensorsIndexName = "model.safetensors.index.json";

// A tensor and the file that holds it; valid as long as the set.
struct SafetensorsPlace {
  const SafetensorsFile* file = nullptr;
  const SafetensorsEntry* entry = nullptr;
};

// One line of an index.
struct SafetensorsIndexLine {
  std::string tensor;
  std::string file;
};
// weight_map of an index, in its order, with file names checked. `file_name` stands in errors.
Result<std::vector<SafetensorsIndexLine>> parse_safetensors_index(std::string_view text, const std::string& file_name);

class SafetensorsSet {
 public:
  static Result<SafetensorsSet> open(const std::string& folder);

  [[nodiscard]] const std::vector<SafetensorsFile>& files() const { return files_; }  // by name of the shard
  [[nodiscard]] const std::vector<SafetensorsPlace>& tensors() const {
    return tensors_;
  }  // file by file, in file order
  [[nodiscard]] const std::vector<std::string>& unlisted() const { return unlisted_; }  // "file: tensor", left out
  [[nodiscard]] bool has_index() const { return has_index_; }

  [[nodiscard]] const SafetensorsPlace* find(const std::string& name) const;
  [[nodiscard]] Result<TensorView> view(const std::string& name) const;

 private:
  Status load_shards(const std::string& folder, std::vector<SafetensorsIndexLine> lines);
  void index_by_name();

  std::vector<SafetensorsFile> files_;
  std::vector<SafetensorsPlace> tensors_;
  std::vector<std::uint32_t> by_name_;  // indices into tensors_, names ascending
  std::vector<std::string> unlisted_;
  bool has_index_ = false;
};

}  // namespace quernel::io
