#include "export/output_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>

#include "base/sha256.h"
#include "export/manifest.h"
#include "model/own_files.h"
#include "sys/atomic_file.h"
#include "sys/errno_error.h"
#include "sys/mapped_file.h"

namespace quernel::exporting {
namespace fs = std::filesystem;
namespace {

Error folder_error(const std::string& folder, std::string message) {
  return Error(Fault::invalid_argument, std::move(message)).in_file(folder);
}

// True if `inner` is `outer` or lies beneath it; both canonical.
bool is_beneath(const fs::path& inner, const fs::path& outer) {
  const auto [left, right] = std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end());
  return left == outer.end();
}

Status check_places(const std::string& folder, const std::string& source_path) {
  std::error_code failure;
  const fs::path out = fs::weakly_canonical(folder, failure);
  if (failure) return sys::system_error("cannot resolve the output folder", folder, failure.value());
  const fs::path source = fs::weakly_canonical(source_path, failure);
  if (failure) return sys::system_error("cannot resolve the source", source_path, failure.value());
  if (is_beneath(out, source)) return folder_error(folder, "output folder lies inside the source model");
  if (is_beneath(source, out)) return folder_error(folder, "output folder holds the source model");
  return ok_status();
}

// "<name>.tmp.<pid>": what a killed writer leaves (sys/atomic_file.h).
bool is_temporary(const std::string& name) {
  const auto place = name.rfind(".tmp.");
  return place != std::string::npos && place + 5 < name.size() &&
         name.find_first_not_of("0123456789", place + 5) == std::string::npos;
}

bool is_weight_file(const std::string& name) {
  return name.starts_with("model") && (name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json"));
}

Status remove_file(const fs::path& path) {
  std::error_code failure;
  fs::remove(path, failure);
  if (failure) return sys::system_error("cannot remove an older file", path.string(), failure.value());
  return ok_status();
}

// What an older job wrote into a checkpoint folder, and nothing that somebody else put there: files that its manifest
// lists, weight files and temporaries in the folder itself. The config goes first, since no engine loads the rest
// without it.
Status clear_checkpoint(const std::string& folder, const Manifest& older) {
  QUERNEL_TRY_STATUS(remove_file(folder + "/config.json"));
  QUERNEL_TRY_STATUS(remove_file(folder + "/" + kChecksumPath));
  QUERNEL_TRY_STATUS(remove_file(folder + "/" + model::kPackedFile));
  const std::set<std::string> listed(older.files.begin(), older.files.end());
  QUERNEL_TRY(const std::vector<std::string> files, files_beneath(folder));
  const std::string own_prefix = std::string(kOwnFolder) + "/";
  for (const std::string& file : files) {
    const bool own = file.starts_with(own_prefix);
    const std::string name = own ? file.substr(own_prefix.size()) : file;
    const bool direct = name.find('/') == std::string::npos;
    const bool ours = direct && (is_temporary(name) || (!own && (listed.contains(file) || is_weight_file(name))));
    if (ours) QUERNEL_TRY_STATUS(remove_file(folder + "/" + file));
  }
  return ok_status();
}

// Checkpoints of several formats lie in folders of their own, which must be ours as well.
Status clear_collection(const std::string& folder, const Manifest& older) {
  for (const std::string& format : older.formats) {
    const std::string inner = folder + "/" + format;
    if (!sys::is_plain_file_name(format)) continue;
    const auto manifest = read_manifest(inner);
    if (!manifest.ok()) continue;
    QUERNEL_TRY_STATUS(clear_checkpoint(inner, *manifest));
    QUERNEL_TRY_STATUS(remove_file(inner + "/" + kManifestPath));
    std::error_code not_empty;  // then somebody else's files keep it
    fs::remove(inner + "/" + kOwnFolder, not_empty);
    fs::remove(inner, not_empty);
  }
  return ok_status();
}

// Nothing but what a writer of ours leaves that was killed before its manifest stood: its own folder, and temporaries.
bool holds_only_leftovers(const std::string& folder) {
  std::error_code failure;
  for (fs::recursive_directory_iterator place(folder, failure), end; !failure && place != end;
       place.increment(failure)) {
    const std::string name = place->path().filename().string();
    const bool own_folder = place.depth() == 0 && name == kOwnFolder && place->is_directory(failure);
    const bool leftover = place.depth() <= 1 && is_temporary(name) && place->is_regular_file(failure);
    if (!own_folder && !leftover) return false;
  }
  return !failure;
}

Status check_ours(const std::string& folder) {
  const auto manifest = read_manifest(folder);
  if (manifest.ok()) return ok_status();
  return folder_error(folder, "output folder is not empty and was not written by quernel")
      .with_hint("name a folder that does not exist yet");
}

}  // namespace

Status check_output(const std::string& folder, const std::string& source_path, Existing existing) {
  if (folder.empty()) return folder_error(folder, "no output folder given");
  QUERNEL_TRY_STATUS(check_places(folder, source_path));
  std::error_code failure;
  const fs::file_status status = fs::status(folder, failure);
  if (status.type() == fs::file_type::not_found) return ok_status();
  if (failure) return sys::system_error("cannot look at the output folder", folder, failure.value());
  if (!fs::is_directory(status)) return folder_error(folder, "output is not a folder");
  const bool empty = fs::is_empty(folder, failure) || holds_only_leftovers(folder);
  if (failure) return sys::system_error("cannot list the output folder", folder, failure.value());
  if (empty) return ok_status();
  QUERNEL_TRY_STATUS(check_ours(folder));
  if (existing == Existing::overwrite) return ok_status();
  return folder_error(folder, "output folder already holds a checkpoint")
      .with_hint("--resume goes on, --overwrite starts anew");
}

Status prepare_output(const std::string& folder, const std::string& source_path, Existing existing,
                      const std::string& tool) {
  QUERNEL_TRY_STATUS(check_output(folder, source_path, existing));
  QUERNEL_TRY_STATUS(sys::make_folders(folder));
  const auto older = read_manifest(folder);
  Manifest mark;
  mark.tool = tool;
  QUERNEL_TRY_STATUS(write_manifest(folder, mark));
  QUERNEL_TRY_STATUS(clear_checkpoint(folder, older.ok() ? *older : mark));
  return older.ok() ? clear_collection(folder, *older) : ok_status();
}

Result<std::vector<std::string>> files_beneath(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code failure;
  fs::recursive_directory_iterator place(folder, failure);
  for (; !failure && place != fs::recursive_directory_iterator(); place.increment(failure)) {
    const fs::file_status status = place->symlink_status(failure);
    if (failure) break;
    const std::string name = place->path().lexically_relative(folder).generic_string();
    if (fs::is_directory(status) || name == kChecksumPath) continue;
    if (place->path().filename() == model::kPackedFile && fs::is_regular_file(status)) continue;
    if (!fs::is_regular_file(status)) {
      return Error(Fault::corrupt, "checkpoint holds something that is no plain file").in_file(place->path().string());
    }
    files.push_back(name);
  }
  if (failure) return sys::system_error("cannot list the folder", folder, failure.value());
  std::sort(files.begin(), files.end());
  return files;
}

Result<std::string> checksums_of(const std::string& folder) {
  QUERNEL_TRY(const std::vector<std::string> files, files_beneath(folder));
  std::string text;
  for (const std::string& name : files) {
    QUERNEL_TRY(const auto file, sys::MappedFile::open(folder + "/" + name, sys::Access::sequential));
    text += fmt::format("{}  {}\n", sha256_hex(file.bytes()), name);
  }
  return text;
}

Status write_checksums(const std::string& folder) {
  QUERNEL_TRY(const std::string text, checksums_of(folder));
  QUERNEL_TRY_STATUS(sys::make_folders(folder + "/" + kOwnFolder));
  return sys::write_file(folder + "/" + kChecksumPath, text);
}

}  // namespace quernel::exporting
