// The tensors of a checkpoint that are not quantized: which there are, and their bytes as they go into the output.
//
// Exact    from a Hugging Face folder: the stored bytes. From GGUF: the decoded value rounded once to the chosen type
// Origin   some may come from another checkpoint that has them in the same shape, and in the type that is written
// Errors   corrupt: NaN or infinity, naming the tensor; invalid_argument: a value that the chosen type cannot hold;
//          unsupported: a tensor of another origin that differs in shape or type
// Threads  const access from one thread
#pragma once

#include <cstddef>
#include <functional>
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

// The checkpoint that gives a tensor in the place of the source; null: the source does. It must outlive whoever asks.
using TensorOrigin = std::function<const model::Checkpoint*(const std::string& tensor)>;

class DenseTensors {
 public:
  // `quantized`: modules whose tensors are written in packed form instead. `gguf_dtype`: F16, BF16 or F32. `origin`: may be
  // empty.
  DenseTensors(const model::Checkpoint& source, const std::set<std::string>& quantized, DType gguf_dtype,
               TensorOrigin origin = {});

  [[nodiscard]] const std::vector<io::PlannedTensor>& plan() const { return plan_; }
  [[nodiscard]] const std::vector<std::string>& dropped() const { return dropped_; }  // one sentence each

  // Streams the bytes of a planned tensor.
  Status stream(const io::PlannedTensor& tensor, const io::ByteSink& sink) const;

 private:
  const model::Checkpoint& source_;
  TensorOrigin origin_;
  std::vector<io::PlannedTensor> plan_;
  std::vector<std::string> dropped_;
};

}  // namespace quernel::exporting
