// The folder in which a job keeps what it has finished, so that it can be killed at any point and resumed.
//
// Layout   state.json   identity of the job (pipeline/fingerprint.h); written first
//          lock         held by flock while a process works here
//          layers/      one file a finished module (pipeline/module_store.h)
//          prepared/    the source after its transforms, as a checkpoint (pipeline/step3b_prepare.h)
//          hidden/      hidden states at a layer boundary: layer_NNN, the newest counts
// Every file appears whole under its name (sys/atomic_file.h); a leftover temporary file is ignored and removed.
//
// Errors   incompatible_state: another process holds the lock; the folder holds another job (the field that differs is
//          named); a folder that is no work directory
// Threads  one thread at a time
#pragma once

#include <optional>
#include <string>

#include "base/json.h"
#include "base/result.h"
#include "sys/descriptor.h"

namespace quernel::pipeline {

// What happens to finished modules that an earlier run left.
enum class Leftover {
  refuse,   // an error that hints at the other two
  resume,   // kept where they are this job's, else an error that names the field which differs
  discard,  // removed, whichever job's they are
};

class WorkDir {
 public:
  // Creates or enters, and takes the lock. Work found there is treated as `leftover` says.
  static Result<WorkDir> open(const std::string& path, const Json& identity, Leftover leftover);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string layers_folder() const { return path_ + "/layers"; }
  [[nodiscard]] std::string spill_folder() const { return path_ + "/spill"; }
  [[nodiscard]] std::string prepared_folder() const { return path_ + "/prepared"; }
  [[nodiscard]] std::string hidden_path(std::int64_t layer) const;
  // The newest saved boundary, as the index of the layer that comes next.
  [[nodiscard]] std::optional<std::int64_t> newest_hidden() const;
  void drop_hidden_before(std::int64_t layer) const;

  // Removes the folder with all that is in it; the job is done. What a kill leaves of it, remove_leaving() takes away.
  Status remove();
  static void remove_leaving(const std::string& path);

  // Is there work of some job, finished or not?
  static bool exists(const std::string& path);

 private:
  std::string path_;
  sys::Descriptor lock_;
};

}  // namespace quernel::pipeline
