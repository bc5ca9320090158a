// Where the logits of the reference model come from: the model itself, the model while its logits are written to the
// cache, or the cache alone.
//
// Exact    the second and the third give the same rows
// Threads  one thread at a time
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "eval/window_runner.h"
#include "runtime/float_model.h"
#include "sys/thread_pool.h"

namespace quernel::eval {

// Gives the reference model; called once, and only where the cache does not hold its logits.
using ReferenceLoader = std::function<Result<const runtime::FloatModel*>()>;

class ReferenceRows {
 public:
  virtual ~ReferenceRows() = default;
  [[nodiscard]] virtual std::int64_t vocab_size() const = 0;
  virtual Status run(std::int64_t first_window, std::int64_t num_windows) = 0;
  // logits [chunk.num_rows, vocab_size] and the most likely token of each row; valid until the next call.
  virtual Result<MatrixView> rows(const ScoredChunk& chunk) = 0;
  [[nodiscard]] std::span<const std::int32_t> top_tokens() const { return top_tokens_; }
  virtual Status finish() { return ok_status(); }  // after the last chunk
  [[nodiscard]] double largest_step() const { return largest_step_; }

 protected:
  std::vector<std::int32_t> top_tokens_;
  double largest_step_ = 0.0;  // of stored logits, over the rows seen; 0: exact
};

// The arguments must outlive the result.
Result<std::unique_ptr<ReferenceRows>> make_exact_rows(const runtime::FloatModel& model,
                                                       std::span<const std::int32_t> tokens, const WindowPlan& plan,
                                                       sys::ThreadPool& pool);
// As exact rows after a way through the cache's 16 bits; finish() puts the file in place.
Result<std::unique_ptr<ReferenceRows>> make_recording_rows(const runtime::FloatModel& model,
                                                           std::span<const std::int32_t> tokens, const WindowPlan& plan,
                                                           const std::string& path, const std::string& key,
                                                           sys::ThreadPool& pool);
// Errors: as LogitCacheReader::open.
Result<std::unique_ptr<ReferenceRows>> make_cached_rows(const WindowPlan& plan, const std::string& path,
                                                        const std::string& key, sys::ThreadPool& pool);

// What the rows depend on, and the file that holds them.
std::string cache_key(const std::string& reference_identity, const WindowPlan& plan,
                      std::span<const std::int32_t> tokens);
std::string cache_path(const std::string& folder, const std::string& key);

}  // namespace quernel::eval
