// Finished modules on disk: what the solver computed, kept until the checkpoint is written and verified.
//
// Layout   "QNLMOD1\n"; u64 little-endian length of a JSON text; the text (report of the module, sizes, SHA-256 of the payload);
//          payload: codes u8 [rows, cols], scales f32 [rows, G], zero_points u8 [rows, G], group_of_column i32 [cols]; of two
//          levels row_scales f32 [rows], group_scales u8 [rows, G]; outliers [n] of i32 row, i32 column, f32 value
// Exact    what is read back is bit for bit what was stored, or an error
// Errors   corrupt: any damage; io_error, out_of_disk
// Threads  one writer; reading from any thread
#pragma once

#include <string>

#include "base/result.h"
#include "codec/integer_matrix.h"
#include "pipeline/job.h"

namespace quernel::pipeline {

struct StoredModule {
  codec::IntegerMatrix matrix;
  ModuleReport report;
};

class ModuleStore {
 public:
  explicit ModuleStore(std::string folder) : folder_(std::move(folder)) {}

  [[nodiscard]] bool contains(const std::string& module) const;
  Status put(const StoredModule& module) const;
  [[nodiscard]] Result<StoredModule> get(const std::string& module) const;
  void erase(const std::string& module) const;

 private:
  [[nodiscard]] std::string path_of(const std::string& module) const;
  std::string folder_;
};

}  // namespace quernel::pipeline
