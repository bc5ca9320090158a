// A model opened for running: checkpoint, threads and weights in the order in which they depend on each other.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "engine/int_model.h"
#include "model/checkpoint.h"
#include "quernel/quernel.h"
#include "runtime/float_model.h"
#include "sys/thread_pool.h"

namespace quernel::api {

struct LoadedModel {
  std::unique_ptr<model::Checkpoint> checkpoint;
  std::unique_ptr<runtime::FloatModel> model;
};

// Threads: 0 becomes all cores of this process.
std::unique_ptr<sys::ThreadPool> make_pool(int threads);
Result<runtime::Precision> parse_precision(const std::string& name);
// Names a model's files by their content. Throws Failure.
std::string source_identity(const std::string& path);
engine::EngineOptions to_engine(const EngineOptions& options);
// What loading has to say to the user.
void report_load(const engine::IntModel& model, const Observer& observer);
runtime::SimulatedBits to_runtime(const SimulatedBits& bits);
Result<LoadedModel> load_model(const std::string& path, sys::ThreadPool& pool, runtime::Precision precision,
                               const runtime::SimulatedBits& simulated = {});

}  // namespace quernel::api
