#include "eval/reference_rows.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "base/sha256.h"
#include "eval/logit_cache.h"
#include "tensor/tensor_view.h"

namespace quernel::eval {

namespace {

Status check_finite(ConstMatrixView logits, const ScoredChunk& chunk) {
  const std::int64_t bad = first_nonfinite({logits.data, static_cast<std::size_t>(logits.rows * logits.cols)});
  if (bad < 0) return ok_status();
  return Error(Fault::invalid_argument, fmt::format("logits of the reference are not finite at window {}, position {}",
                                                    chunk.window, chunk.first_position + bad / logits.cols));
}

class ExactRows : public ReferenceRows {
 public:
  ExactRows(WindowRunner runner, std::int64_t vocab_size, sys::ThreadPool& pool)
      : runner_(std::move(runner)), vocab_size_(vocab_size), pool_(&pool) {}

  [[nodiscard]] std::int64_t vocab_size() const override { return vocab_size_; }
  Status run(std::int64_t first_window, std::int64_t num_windows) override {
    return runner_.run(first_window, num_windows);
  }
  Result<MatrixView> rows(const ScoredChunk& chunk) override {
    const MatrixView logits = runner_.logits(chunk);
    QUERNEL_TRY_STATUS(check_finite(logits, chunk));
    top_tokens_.resize(static_cast<std::size_t>(chunk.num_rows));
    pool_->parallel_for(chunk.num_rows, [&](std::int64_t row) {
      top_tokens_[static_cast<std::size_t>(row)] = argmax_of(logits.row(row));
    });
    return logits;
  }

 protected:
  sys::ThreadPool& pool() { return *pool_; }

 private:
  WindowRunner runner_;
  std::int64_t vocab_size_;
  sys::ThreadPool* pool_;
};

class RecordingRows final : public ExactRows {
 public:
  RecordingRows(WindowRunner runner, std::int64_t vocab_size, sys::ThreadPool& pool, LogitCacheWriter writer)
      : ExactRows(std::move(runner), vocab_size, pool), writer_(std::move(writer)) {}

  Result<MatrixView> rows(const ScoredChunk& chunk) override {
    QUERNEL_TRY(const MatrixView logits, ExactRows::rows(chunk));
    const auto row_bytes = static_cast<std::size_t>(stored_row_bytes(logits.cols));
    stored_.resize(row_bytes * static_cast<std::size_t>(chunk.num_rows));
    std::vector<float> steps(static_cast<std::size_t>(chunk.num_rows));
    pool().parallel_for(chunk.num_rows, [&](std::int64_t row) {
      const auto index = static_cast<std::size_t>(row);
      const std::span<std::byte> bytes = std::span(stored_).subspan(index * row_bytes, row_bytes);
      encode_row(logits.row(row), bytes);
      steps[index] = decode_row(bytes, logits.row(row)).step;
    });
    for (const float step : steps) largest_step_ = std::max(largest_step_, static_cast<double>(step));
    QUERNEL_TRY_STATUS(writer_.append(stored_));
    return logits;
  }
  Status finish() override { return writer_.commit(); }

 private:
  LogitCacheWriter writer_;
  std::vector<std::byte> stored_;
};

class CachedRows final : public ReferenceRows {
 public:
  CachedRows(LogitCacheReader reader, const WindowPlan& plan, sys::ThreadPool& pool)
      : reader_(std::move(reader)),
        pool_(&pool),
        logits_(Matrix::uninitialized(std::min(rows_per_chunk(reader_.vocab_size()), plan.scored_per_window),
                                      reader_.vocab_size())) {}

  [[nodiscard]] std::int64_t vocab_size() const override { return reader_.vocab_size(); }
  Status run(std::int64_t /*first_window*/, std::int64_t /*num_windows*/) override { return ok_status(); }
  Result<MatrixView> rows(const ScoredChunk& chunk) override {
    const MatrixView out = logits_.view().row_block(0, chunk.num_rows);
    top_tokens_.resize(static_cast<std::size_t>(chunk.num_rows));
    std::vector<float> steps(static_cast<std::size_t>(chunk.num_rows));
    pool_->parallel_for(chunk.num_rows, [&](std::int64_t row) {
      const StoredRow stored = decode_row(reader_.row(chunk.first_row + row), out.row(row));
      top_tokens_[static_cast<std::size_t>(row)] = stored.argmax;
      steps[static_cast<std::size_t>(row)] = stored.step;
    });
    for (const float step : steps) largest_step_ = std::max(largest_step_, static_cast<double>(step));
    return out;
  }

 private:
  LogitCacheReader reader_;
  sys::ThreadPool* pool_;
  Matrix logits_;
};

}  // namespace

Result<std::unique_ptr<ReferenceRows>> make_exact_rows(const runtime::FloatModel& model,
                                                       std::span<const std::int32_t> tokens, const WindowPlan& plan,
                                                       sys::ThreadPool& pool) {
  QUERNEL_TRY(WindowRunner runner, WindowRunner::create(model, tokens, plan));
  return std::unique_ptr<ReferenceRows>(
      std::make_unique<ExactRows>(std::move(runner), model.config().vocab_size, pool));
}

Result<std::unique_ptr<ReferenceRows>> make_recording_rows(const runtime::FloatModel& model,
                                                           std::span<const std::int32_t> tokens, const WindowPlan& plan,
                                                           const std::string& path, const std::string& key,
                                                           sys::ThreadPool& pool) {
  QUERNEL_TRY(WindowRunner runner, WindowRunner::create(model, tokens, plan));
  const std::int64_t vocab_size = model.config().vocab_size;
  QUERNEL_TRY(LogitCacheWriter writer, LogitCacheWriter::create(path, {key, vocab_size, plan.num_scored()}));
  return std::unique_ptr<ReferenceRows>(
      std::make_unique<RecordingRows>(std::move(runner), vocab_size, pool, std::move(writer)));
}

Result<std::unique_ptr<ReferenceRows>> make_cached_rows(const WindowPlan& plan, const std::string& path,
                                                        const std::string& key, sys::ThreadPool& pool) {
  QUERNEL_TRY(LogitCacheReader reader, LogitCacheReader::open(path, key, plan.num_scored()));
  return std::unique_ptr<ReferenceRows>(std::make_unique<CachedRows>(std::move(reader), plan, pool));
}

std::string cache_key(const std::string& reference_identity, const WindowPlan& plan,
                      std::span<const std::int32_t> tokens) {
  return sha256_hex(fmt::format("logits of {}\ntokens {}\ncontext {}\nfirst scored {}\n", reference_identity,
                                hash_windows(plan, tokens), plan.context, plan.first_scored));
}

std::string cache_path(const std::string& folder, const std::string& key) {
  return folder + "/" + key.substr(0, 32) + ".logits";
}

}  // namespace quernel::eval
