// The model that an evaluation measures, in the runtime that its options name, and what its report says of that.
//
// Threads  one thread at a time; the pool's for what is computed
#pragma once

#include <memory>
#include <string>

#include "api/loaded_model.h"
#include "base/json.h"
#include "base/result.h"
#include "engine/int_language_model.h"
#include "quernel/quernel.h"
#include "runtime/language_model.h"
#include "sys/thread_pool.h"

namespace quernel::api {

class MeasuredModel {
 public:
  // The pool must outlive the model. Errors: usage (precision), those of either runtime's load.
  static Result<MeasuredModel> load(const ModelOptions& options, sys::ThreadPool& pool);

  [[nodiscard]] const model::Checkpoint& checkpoint() const { return *loaded_.checkpoint; }
  [[nodiscard]] const runtime::LanguageModel& model() const;
  // The report of a measure, with the bits that the model ran with: "simulated", or "integer" of the integer runtime.
  [[nodiscard]] Report report(Json json, std::string text) const;

 private:
  Status load_integers(const ModelOptions& options, sys::ThreadPool& pool);

  LoadedModel loaded_;  // model: null where the integer runtime runs
  std::unique_ptr<engine::IntModel> integers_;
  std::unique_ptr<engine::IntLanguageModel> as_language_model_;  // of integers_
};

// What a float model beside the measured one runs in: the same, or f32 beside the integer runtime.
Result<runtime::Precision> reference_precision(const ModelOptions& options);

}  // namespace quernel::api
