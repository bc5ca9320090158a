// A model on disk, opened for reading: a Hugging Face folder (dense, GPTQ, AWQ or compressed-tensors) or a GGUF file.
//
// One set of names for all: Hugging Face tensor names; GGUF tensors are renamed, and q/k rows of the llama family are
// put back into half-split order, so nothing above this header knows where a tensor came from.
//
// Errors   not_found, corrupt, unsupported (architecture, quantization method, tensor type), limit_exceeded
// Threads  const functions from any thread
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "codec/gguf_types.h"
#include "codec/integer_matrix.h"
#include "model/config.h"
#include "model/modules.h"
#include "model/quantized_model.h"
#include "tensor/tensor_view.h"

namespace quernel::io {
class GgufFile;
}  // namespace quernel::io

namespace quernel::model {

enum class CheckpointKind { hugging_face, gguf };

struct TensorInfo {
  std::string name;         // Hugging Face name
  Shape shape;              // [out, in] for matrices
  std::string stored_type;  // "F32", "BF16", "Q4_1", "I32", ...
  std::uint64_t bytes = 0;
  std::string file;     // file that holds it
  bool direct = false;  // view() gives it in place; otherwise it must be decoded by read()
};

// A matrix of integers as GGUF blocks lie in the file; the file stays mapped as long as the checkpoint lives.
struct StoredBlocks {
  codec::GgmlType type;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::span<const std::byte> bytes;
  std::int64_t pair_dim = 0;  // above 0: rows of heads of this size lie in pairs

  [[nodiscard]] std::span<const std::byte> row(std::int64_t row) const;  // of the Hugging Face tensor
};

// Refuses NaN and infinity in values already read. Errors: corrupt with tensor, row and column.
Status check_finite(ConstMatrixView values, const std::string& tensor, const std::string& file);

class Checkpoint {
 public:
  static Result<Checkpoint> open(const std::string& path);
  ~Checkpoint();
  Checkpoint(Checkpoint&&) noexcept;
  Checkpoint& operator=(Checkpoint&&) noexcept;

  [[nodiscard]] const std::string& path() const;
  [[nodiscard]] CheckpointKind kind() const;
  [[nodiscard]] const ModelConfig& config() const;
  [[nodiscard]] const std::vector<TensorInfo>& tensors() const;  // in file order
  [[nodiscard]] const TensorInfo* find(const std::string& name) const;
  [[nodiscard]] std::vector<std::string> files() const;  // every file read, weights first

  // A dense tensor in place, in its stored type. Only where TensorInfo::direct.
  [[nodiscard]] Result<TensorView> view(const std::string& name) const;
  // A dense tensor decoded to float [rows, cols] (rank 1: one row). GGUF blocks are dequantized.
  [[nodiscard]] Result<Matrix> read(const std::string& name) const;

  // The same matrix undecoded, where it consists of blocks of integers (codec/gguf_split.h) and its values need nothing but decoding.
  [[nodiscard]] std::optional<StoredBlocks> blocks(const std::string& name) const;

  // config.json as parsed; for GGUF, the equivalent that a Hugging Face folder would hold.
  [[nodiscard]] const Json& config_json() const;

  // Quantized checkpoints.
  [[nodiscard]] const std::optional<QuantizationInfo>& quantization() const;  // nothing for dense models
  [[nodiscard]] bool is_quantized(const std::string& module) const;
  [[nodiscard]] Result<codec::IntegerMatrix> read_quantized(const std::string& module) const;

  // Weight of a module as float whatever its storage, and its bias if it has one.
  [[nodiscard]] Result<Matrix> read_weight(const std::string& module) const;
  [[nodiscard]] Result<std::optional<Matrix>> read_bias(const std::string& module) const;

  // Empty, or why config_json() cannot say everything that config() says (a GGUF file may hold what Hugging Face fields
  // cannot): writers of Hugging Face folders must refuse then.
  [[nodiscard]] const std::string& config_obstacle() const;
  // Tensors of the files that the architecture does not use, by name. Never an error; tools list them.
  [[nodiscard]] const std::vector<std::string>& extra_tensors() const;
  // Refuses NaN and infinity in a dense tensor, naming the tensor and the first place.
  [[nodiscard]] Status check_finite(const std::string& name) const;
  // The container of a GGUF checkpoint, for its metadata; null for a folder.
  [[nodiscard]] const io::GgufFile* gguf() const;

  // Side files of the folder that belong with the model (tokenizer, generation config, licence), by name; empty for
  // GGUF.
  [[nodiscard]] std::vector<std::string> side_files() const;

  // Drops resident pages of a tensor's bytes; they come back from disk when read again.
  void release(const std::string& name) const;

 private:
  struct State;
  explicit Checkpoint(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace quernel::model
