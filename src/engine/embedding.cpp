#include "engine/embedding.h"

#include <algorithm>

#include "base/check.h"
#include "codec/gguf_blocks.h"

namespace quernel::engine {

Result<Embedding> Embedding::open(const model::Checkpoint& checkpoint) {
  const model::ModelConfig& config = checkpoint.config();
  Embedding table;
  table.scale_ = static_cast<float>(config.embedding_scale);
  const model::TensorInfo* info = checkpoint.find(model::kEmbeddingTensor);
  Shape shape;
  if (info != nullptr && info->direct) {
    QUERNEL_TRY(table.plain_, checkpoint.view(model::kEmbeddingTensor));
    shape = table.plain_->shape;
  } else if ((table.blocks_ = checkpoint.blocks(model::kEmbeddingTensor))) {
    shape = {table.blocks_->rows, table.blocks_->cols};
  } else {
    QUERNEL_TRY(table.decoded_, checkpoint.read_weight("model.embed_tokens"));
    shape = {table.decoded_.rows(), table.decoded_.cols()};
  }
  if (shape != Shape{config.vocab_size, config.hidden_size})
    return Error(Fault::corrupt, "a tensor's shape does not fit the model")
        .in_file(checkpoint.path())
        .in_tensor(model::kEmbeddingTensor)
        .expect(to_string(Shape{config.vocab_size, config.hidden_size}), to_string(shape));
  return table;
}

void Embedding::read(std::int32_t token, std::span<float> row) const {
  if (plain_) {
    const std::size_t bytes = row.size() * size_of(plain_->dtype);
    const TensorView stored{plain_->dtype,
                            {static_cast<std::int64_t>(row.size())},
                            plain_->bytes.subspan(static_cast<std::size_t>(token) * bytes, bytes)};
    QUERNEL_CHECK(to_float(stored, row).ok(), "an embedding of a type that is not decoded in place");
  } else if (blocks_) {
    QUERNEL_CHECK(codec::dequantize_gguf(blocks_->type, blocks_->row(token), row).ok(), "blocks of token {}", token);
  } else {
    std::copy_n(decoded_.row(token).begin(), row.size(), row.begin());
  }
  if (scale_ == 1.0F) return;
  for (float& value : row) value *= scale_;
}

}  // namespace quernel::engine
