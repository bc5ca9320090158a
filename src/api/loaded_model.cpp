#include "api/loaded_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "api/failure.h"
#include "engine/kernel_choice.h"
#include "pipeline/fingerprint.h"

namespace quernel::api {

std::unique_ptr<sys::ThreadPool> make_pool(int threads) {
  return std::make_unique<sys::ThreadPool>(threads > 0 ? threads : sys::usable_cores());
}

Result<runtime::Precision> parse_precision(const std::string& name) {
  for (const runtime::Precision precision : {runtime::Precision::f32, runtime::Precision::bf16})
    if (name == runtime::to_string(precision)) return precision;
  return Error(Fault::usage, "unknown precision").in_field("--precision").expect("f32, bf16", "'" + name + "'");
}

std::string source_identity(const std::string& path) {
  const model::Checkpoint checkpoint = take(model::Checkpoint::open(path));
  std::string identity;
  for (const pipeline::FileIdentity& file : take(pipeline::identify_files(checkpoint.files())))
    identity += " " + file.name + ":" + file.sha256;
  return identity;
}

runtime::SimulatedBits to_runtime(const SimulatedBits& bits) {
  return {.activation_bits = bits.activation_bits,
          .activation_group = bits.activation_group,
          .activation_asymmetric = bits.activation_asymmetric,
          .kv_bits = bits.kv_bits};
}

Result<LoadedModel> load_model(const std::string& path, sys::ThreadPool& pool, runtime::Precision precision,
                               const runtime::SimulatedBits& simulated) {
  QUERNEL_TRY_STATUS(runtime::validate(simulated));
  QUERNEL_TRY(model::Checkpoint checkpoint, model::Checkpoint::open(path));
  LoadedModel loaded;
  loaded.checkpoint = std::make_unique<model::Checkpoint>(std::move(checkpoint));
  QUERNEL_TRY(runtime::FloatModel model, runtime::FloatModel::load(*loaded.checkpoint, pool, precision, simulated));
  loaded.model = std::make_unique<runtime::FloatModel>(std::move(model));
  return loaded;
}

engine::EngineOptions to_engine(const EngineOptions& options) {
  return {.activation_bits = options.activation_bits,
          .kv_bits = options.kv_bits,
          .kv_budget = options.kv_budget,
          .decode_threads = options.decode_threads,
          .packed_cache = options.packed_cache ? engine::PackedCacheUse::automatic : engine::PackedCacheUse::off};
}

void report_load(const engine::IntModel& model, const Observer& observer) {
  if (!observer.on_note) return;
  if (!model.load_note().empty()) observer.on_note(model.load_note());
  const engine::Kernels kernels = engine::chosen_kernels();
  if (!kernels.distrusted.empty())
    observer.on_note(fmt::format("wrong results on this machine, not used: {}", fmt::join(kernels.distrusted, ", ")));
}

}  // namespace quernel::api
