// The tensors of a checkpoint that are not quantized: which there are, and their bytes as they go into the output.
//
// Exact    from a Hugging Face folder: the stored bytes. From GGUF: the decoded value rounded once to the chosen type
// Errors   corrupt: NaN or infinity, naming the tensor; invalid_argument: a value that the chosen type cannot hold
// Threads  const access from one thread
#pragma once

#include <cstddef>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/safetensors_writer.h"
#include "model/checkpoint.h"

namespace quernel::exporting {

// Bytes of values in another float type (F16, BF16 or F32), rounded once. Errors: as above, naming the tensor.
Status narrow_values(std::span<const float> values, DType dtype, const std::string& tensor,
                     std::vector<std::byte>& out);

class DenseTensors {
 public:
  // `quantized`: modules whose tensors are written in packed form instead. `gguf_dtype`: F16, BF16 or F32.
  DenseTensors(const model::Checkpoint& source, const std::set<std::string>& quantized, DType gguf_dtype);

  [[nodiscard]] const std::vector<io::PlannedTensor>& plan() const { return plan_; }
  [[nodiscard]] const std::vector<std::string>& dropped() const { return dropped_; }  // one sentence each

  // Streams the bytes of a planned tensor.
  Status stream(const io::PlannedTensor& tensor, const io::ByteSink& sink) const;

 private:
  Status stream_stored(const io::PlannedTensor& tensor, const io::ByteSink& sink) const;
  Status stream_decoded(const io::PlannedTensor& tensor, const io::ByteSink& sink) const;

  const model::Checkpoint& source_;
  std::vector<io::PlannedTensor> plan_;
  std::vector<std::string> dropped_;
};

}  // namespace quernel::exporting
