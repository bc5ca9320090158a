// Packed weights on disk: a safetensors file of bytes that only need to be copied.
//
// Layout    tensor "<module>.packed" u8 [bytes]: a weight as kernels/packed lays it out; "<module>.bias" f32, ".order" i32, ".outlier_index"
//           i32 [n, 2], ".outlier_value" f32 [n] where the module has them. Metadata: "packed" (JSON: version, identity of the source, kinds of
//           each weight, a checksum for every 4 MB of tensor data)
// Exact     reading gives the bytes that were written, or an error
// Read      copied by all threads and checked on the way. Not left mapped: the sums read every byte anyway, and a mapped file that somebody
//           cuts short would end the process in the middle of a token
// Trust     a file that anybody may have made: shapes must be the model's, kinds must be ones that kernels multiply, places must lie inside
// Errors    open: not_found; corrupt (format, checksum, shape); unsupported: another version, another identity: made from something else.
//           Any error means: pack again
// Threads   one call at a time; work is spread over the pool
#pragma once

#include <string>

#include "base/json.h"
#include "base/result.h"
#include "engine/model_weights.h"
#include "sys/thread_pool.h"

namespace quernel::engine {

// A new layout of anything that is written (kernels/packed, the fields here) is a new version.
inline constexpr int kPackedVersion = 1;

// Never a part under the final name; without waiting for the disk, since sums tell what is whole.
Status write_packed(const std::string& path, const Json& identity, const ModelWeights& weights);

// Fills the linears of `frame` (load_frame) and its head [head_rows, head_cols].
Result<ModelWeights> read_packed(const std::string& path, const Json& identity, ModelWeights frame, Shape head_shape,
                                 sys::ThreadPool& pool);

}  // namespace quernel::engine
