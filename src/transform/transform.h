// The contract of a transform, and the registry of all of them.
//
// A transform finds a ModelChange: factors or rotations that are folded into the weights so that the model computes what it did.
// Those that look at activations are asked site by site while the unquantized model runs over the calibration tokens; the others
// know what to do from the configuration.
//
// Exact    weights are changed in double and rounded to fp32 once
// Threads  a ModelChange is constant: any thread; the pool is the caller's
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "model/config.h"
#include "model/modules.h"
#include "quant/layer_stats.h"
#include "quant/method.h"
#include "runtime/layer_weights.h"
#include "sys/thread_pool.h"
#include "tensor/matrix.h"
#include "transform/spec.h"

namespace quernel::transform {

class ModelChange {
 public:
  virtual ~ModelChange() = default;
  virtual void change_layer(runtime::LayerWeights& weights, sys::ThreadPool& pool) const = 0;
  // Some rows of the embedding table, of the head [count, hidden]; the gain of the last norm [hidden].
  virtual void change_embedding(MatrixView rows, sys::ThreadPool& pool) const { (void)rows, (void)pool; }
  virtual void change_head(MatrixView rows, sys::ThreadPool& pool) const { (void)rows, (void)pool; }
  virtual void change_final_norm(std::span<float> gain) const { (void)gain; }
  // Transforms that the runtime has to do from now on.
  virtual void change_config(model::ModelConfig& config) const { (void)config; }
  // Embedding and head are no longer the same matrix.
  [[nodiscard]] virtual bool unties() const { return false; }
};

// Several, one after the other.
class ChainedChange final : public ModelChange {
 public:
  void add(std::unique_ptr<ModelChange> change) { changes_.push_back(std::move(change)); }
  void change_layer(runtime::LayerWeights& weights, sys::ThreadPool& pool) const override;
  void change_embedding(MatrixView rows, sys::ThreadPool& pool) const override;
  void change_head(MatrixView rows, sys::ThreadPool& pool) const override;
  void change_final_norm(std::span<float> gain) const override;
  void change_config(model::ModelConfig& config) const override;
  [[nodiscard]] bool unties() const override;

 private:
  std::vector<std::unique_ptr<ModelChange>> changes_;
};

// What a search knows of one input site of one layer.
struct SiteInput {
  const model::ModelConfig& config;
  model::Site site;
  const runtime::LayerWeights& weights;
  const quant::LayerStats& stats;  // of the unquantized model, with channel statistics and a sample of rows
  const quant::GridSpec& grid;     // group size resolved
  const TransformSpec& spec;
  bool rotated_later = false;  // a rotation follows in the chain: it takes norm gains, and factors in them, away
  sys::ThreadPool& pool;
};

// Factors of a site's channels, or their order. Empty: none.
struct SiteScales {
  std::vector<float>
      factors;  // by channel of the producer (pairs.h): consumers' columns are multiplied, the producer divided
  double error_ratio = 1.0;  // of the search's error with them to that without; 1 where nothing was searched
  std::vector<std::int32_t> order = {};  // of the inner channels of the MLP, at mlp_out: pairs.h
  std::vector<float> key_factors = {};  // of smooth_attention.h, at attention_out: keys are divided, queries multiplied
};

struct Transform {
  std::string name;                // "smoothquant"
  std::string summary;             // one sentence
  std::string source;              // paper
  std::vector<std::string> after;  // rows that may stand before it in a chain
  std::vector<quant::MethodOption> options;
  // Refuses models whose function it would change. Errors: unsupported with the reason.
  Status (*check)(const model::ModelConfig& config, const TransformSpec& spec) = nullptr;
  // One of the two. find_scales runs for the sites in the order of a forward pass.
  Result<SiteScales> (*find_scales)(const SiteInput& input) = nullptr;
  std::unique_ptr<ModelChange> (*make_change)(const model::ModelConfig& config, const runtime::EndWeights& ends,
                                              const TransformSpec& spec) = nullptr;

  [[nodiscard]] bool needs_statistics() const { return find_scales != nullptr; }
};

std::span<const Transform> transforms();
// Errors: unsupported, listing the names there are and the nearest one.
Result<const Transform*> find_transform(const std::string& name);

// Every value of --preprocess: "none", each row, and each chain of two that the rows allow.
std::vector<std::string> preprocess_choices();
// "smoothquant+quarot" -> {"smoothquant", "quarot"}; "none" -> {}. Errors: unsupported.
Result<std::vector<std::string>> parse_preprocess(const std::string& text);
std::string to_string(const std::vector<std::string>& chain);

// Options by name, as quant/options.h does for methods.
bool has_option(const std::string& name);
Status set_option(const std::string& name, const std::string& value, TransformSpec& spec);
// The options of the chain as they were resolved.
Json chain_options(const TransformSpec& spec);

// The changed model needs transforms while it runs, which only formats of our own can say.
bool needs_runtime(const TransformSpec& spec);

// The residual stream stays the source's: what the chain changes, it folds between linears and norms of one block, so that a block
// computes what the source's does and may stand among blocks of another chain that keeps it.
bool keeps_stream(const std::vector<std::string>& chain);

// All rows of the chain agree with the model. Errors: unsupported.
Status check_chain(const TransformSpec& spec, const model::ModelConfig& config);

}  // namespace quernel::transform
