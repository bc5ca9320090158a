#include "pipeline/work_dir.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <cerrno>
#include <filesystem>

#include "pipeline/fingerprint.h"
#include "sys/atomic_file.h"
#include "sys/errno_error.h"
#include "sys/json_file.h"

namespace quernel::pipeline {

namespace fs = std::filesystem;

namespace {

constexpr const char* kHiddenPrefix = "layer_";
constexpr const char* kLeavingSuffix = ".finished";

Result<sys::Descriptor> take_lock(const std::string& path) {
  sys::Descriptor lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!lock.valid()) return sys::system_error("cannot open the lock", path, errno);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
    return Error(Fault::incompatible_state, "another process works on this job").in_file(path);
  return lock;
}

bool holds_work(const std::string& path) {
  std::error_code failure;
  const fs::directory_iterator layers(path + "/layers", failure);
  return !failure && layers != fs::directory_iterator();
}

// Leftovers of a killed writer; their owner is gone, since the lock is ours.
void remove_temporaries(const std::string& path) {
  std::error_code failure;
  std::vector<fs::path> leftovers;
  for (const auto& entry : fs::recursive_directory_iterator(path, failure))
    if (entry.path().filename().string().find(".tmp.") != std::string::npos) leftovers.push_back(entry.path());
  for (const fs::path& leftover : leftovers) fs::remove(leftover, failure);
}

Status check_identity(const std::string& state_path, const Json& identity, Leftover leftover, const std::string& path) {
  QUERNEL_TRY(const Json stored, sys::read_json(state_path));
  if (const auto difference = first_difference(stored, identity); difference.has_value()) {
    if (!holds_work(path)) return {};
    return Error(Fault::incompatible_state, "the work directory belongs to another job")
        .in_file(path)
        .in_field(difference->field)
        .expect(difference->wanted, difference->stored)
        .with_hint("--overwrite starts anew; or give another --work-dir");
  }
  if (leftover == Leftover::refuse && holds_work(path))
    return Error(Fault::incompatible_state, "an earlier run of this job left unfinished work")
        .in_file(path)
        .with_hint("--resume goes on with it, --overwrite starts anew");
  return {};
}

}  // namespace

Result<WorkDir> WorkDir::open(const std::string& path, const Json& identity, Leftover leftover) {
  const std::string state_path = path + "/state.json";
  std::error_code failure;
  if (fs::exists(path, failure) && !fs::exists(state_path, failure) && !fs::is_empty(path, failure) &&
      !fs::exists(path + "/lock", failure))
    return Error(Fault::incompatible_state, "the folder is not a work directory")
        .in_file(path)
        .with_hint("give another --work-dir");
  WorkDir work;
  work.path_ = path;
  QUERNEL_TRY_STATUS(sys::make_folders(path));
  QUERNEL_TRY(work.lock_, take_lock(path + "/lock"));
  if (leftover == Leftover::discard) {
    for (const std::string& folder :
         {work.layers_folder(), work.spill_folder(), work.prepared_folder(), path + "/hidden"})
      fs::remove_all(folder, failure);
  } else if (fs::exists(state_path, failure)) {
    QUERNEL_TRY_STATUS(check_identity(state_path, identity, leftover, path));
  }
  remove_temporaries(path);
  for (const std::string& folder : {work.layers_folder(), work.spill_folder(), path + "/hidden"})
    QUERNEL_TRY_STATUS(sys::make_folders(folder));
  QUERNEL_TRY_STATUS(sys::write_file(state_path, dump_json(identity, 1) + "\n"));
  return work;
}

std::string WorkDir::hidden_path(std::int64_t layer) const {
  return fmt::format("{}/hidden/{}{:04}", path_, kHiddenPrefix, layer);
}

std::optional<std::int64_t> WorkDir::newest_hidden() const {
  std::optional<std::int64_t> newest;
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(path_ + "/hidden", failure)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kHiddenPrefix)) continue;
    const std::int64_t layer = std::atoll(name.c_str() + std::string_view(kHiddenPrefix).size());
    if (!newest.has_value() || layer > *newest) newest = layer;
  }
  return newest;
}

void WorkDir::drop_hidden_before(std::int64_t layer) const {
  std::error_code failure;
  for (std::int64_t index = 0; index < layer; ++index) fs::remove(hidden_path(index), failure);
}

Status WorkDir::remove() {
  lock_.reset();
  // Renamed first: a kill while files go must not leave half a work directory under its name.
  const std::string leaving = path_ + kLeavingSuffix;
  std::error_code failure;
  fs::rename(path_, leaving, failure);
  if (!failure) fs::remove_all(leaving, failure);
  if (failure) return sys::system_error("cannot remove the work directory", path_, failure.value());
  return {};
}

void WorkDir::remove_leaving(const std::string& path) {
  std::error_code failure;
  fs::remove_all(path + kLeavingSuffix, failure);
}

bool WorkDir::exists(const std::string& path) {
  std::error_code failure;
  return fs::exists(path + "/state.json", failure);
}

}  // namespace quernel::pipeline
