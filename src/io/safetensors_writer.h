// Writing safetensors: one file or shards with an index, streamed, and never half there under a final name.
//
// Layout    tensors by descending size of element (order of the format's reference writer), then by name; header padded
//           with spaces to a multiple of 8; metadata {"format": "pt"}. Shards are filled in the order of the plan; a
//           tensor is never split. One shard: model.safetensors without an index. More:
//           model-00001-of-00002.safetensors, ... and the index.
// Exact     the bytes depend on the plan, the data and the options only
// Protocol  each file through sys::AtomicFile, the index last. An older model.safetensors and index are removed before
//           the first shard is written, so that a kill leaves the old set, no set, or the new set, never a mixture.
// Errors    invalid_argument (plan), io_error, out_of_disk, and those of the source; what was committed before stays
// Threads   one writer per folder; the source is called from the calling thread
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "tensor/dtype.h"
#include "tensor/tensor_view.h"

namespace quernel::io {

struct PlannedTensor {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
};

// Takes the next bytes of the tensor in hand.
using ByteSink = std::function<Status(std::span<const std::byte>)>;
// Streams the bytes of plan[index], row-major and little-endian, exactly as many as dtype and shape ask for. Called
// once a tensor, in the order of the files, which is not the order of the plan.
using TensorSource = std::function<Status(std::size_t index, const ByteSink& sink)>;

struct SafetensorsWriteOptions {
  std::uint64_t max_shard_bytes = 5'000'000'000;  // of tensor data, as the libraries of the ecosystem count
  std::vector<std::pair<std::string, std::string>> metadata = {{"format", "pt"}};
  bool hash_tensors = false;
};

struct WrittenTensor {
  std::string name;
  std::string file;  // plain name inside the folder
  std::uint64_t size_bytes = 0;
  std::string sha256;  // of its bytes; empty unless asked for
};

struct WrittenSafetensors {
  std::vector<std::string> files;      // plain names, the index last
  std::vector<WrittenTensor> tensors;  // in the order of the plan
  std::uint64_t tensor_bytes = 0;
};

Result<WrittenSafetensors> write_safetensors(const std::string& folder, const std::vector<PlannedTensor>& plan,
                                             const TensorSource& source, const SafetensorsWriteOptions& options = {});

// Header of one file, length field and padding included, for tensors in the order they are given.
std::string make_safetensors_header(const std::vector<const PlannedTensor*>& tensors,
                                    const std::vector<std::pair<std::string, std::string>>& metadata);

}  // namespace quernel::io
