// Rows of activations of all calibration tokens: in memory, or in a file that is mapped and already has no name.
//
// Shape    [rows, width] float32
// Memory   in memory: rows * width * 4 bytes, zeroed. Spilled: that much disk, reserved at creation, so that a full
//          disk is met there and not in the middle of the work; pages leave memory after release()
// Errors   out_of_disk, io_error; out_of_memory where the system refuses the allocation
// Threads  different rows from different threads
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "tensor/matrix.h"

namespace quernel::calib {

class HiddenStore {
 public:
  HiddenStore() = default;  // no rows
  // With a folder: spilled to a file there. The file is unlinked at once, so that nothing is left behind by a killed
  // process.
  static Result<HiddenStore> create(std::int64_t rows, std::int64_t width,
                                    const std::optional<std::string>& spill_folder);
  ~HiddenStore();
  HiddenStore(HiddenStore&& other) noexcept;
  HiddenStore& operator=(HiddenStore&& other) noexcept;
  HiddenStore(const HiddenStore&) = delete;
  HiddenStore& operator=(const HiddenStore&) = delete;

  [[nodiscard]] std::int64_t rows() const { return rows_; }
  [[nodiscard]] std::int64_t width() const { return width_; }
  [[nodiscard]] bool spilled() const { return spilled_; }

  [[nodiscard]] MatrixView row_block(std::int64_t first_row, std::int64_t num_rows) const {
    return MatrixView(data_, rows_, width_).row_block(first_row, num_rows);
  }
  // These rows are not needed soon: spilled ones go to disk and leave memory. Contents stay.
  void release(std::int64_t first_row, std::int64_t num_rows) const;

 private:
  void unmap();

  float* data_ = nullptr;
  std::int64_t rows_ = 0;
  std::int64_t width_ = 0;
  std::size_t mapped_bytes_ = 0;
  bool spilled_ = false;
};

}  // namespace quernel::calib
