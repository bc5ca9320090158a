#include "api/measured_model.h"

#include <fmt/format.h>

#include <utility>

#include "api/failure.h"

namespace quernel::api {

namespace {

bool is_integer(const ModelOptions& options) { return options.precision == "int8"; }

}  // namespace

Result<MeasuredModel> MeasuredModel::load(const ModelOptions& options, sys::ThreadPool& pool) {
  MeasuredModel measured;
  if (is_integer(options)) {
    QUERNEL_TRY_STATUS(measured.load_integers(options, pool));
    return measured;
  }
  QUERNEL_TRY(const runtime::Precision precision, parse_precision(options.precision));
  QUERNEL_TRY(measured.loaded_, load_model(options.path, pool, precision, to_runtime(options.simulated)));
  return measured;
}

Status MeasuredModel::load_integers(const ModelOptions& options, sys::ThreadPool& pool) {
  QUERNEL_TRY(model::Checkpoint checkpoint, model::Checkpoint::open(options.path));
  loaded_.checkpoint = std::make_unique<model::Checkpoint>(std::move(checkpoint));
  const engine::EngineOptions how{.activation_bits = options.integer.activation_bits,
                                  .kv_bits = options.integer.kv_bits,
                                  .kv_budget = options.integer.kv_budget};
  QUERNEL_TRY(engine::IntModel model, engine::IntModel::load(*loaded_.checkpoint, pool, how));
  integers_ = std::make_unique<engine::IntModel>(std::move(model));
  as_language_model_ = std::make_unique<engine::IntLanguageModel>(*integers_);
  return ok_status();
}

const runtime::LanguageModel& MeasuredModel::model() const {
  if (as_language_model_ != nullptr) return *as_language_model_;
  return *loaded_.model;
}

Report MeasuredModel::report(Json json, std::string text) const {
  if (integers_ != nullptr) {
    const int activation_bits = integers_->activation_bits();
    const int kv_bits = integers_->options().kv_bits;
    json["integer"] = {{"activation_bits", activation_bits}, {"kv_bits", kv_bits}};
    text += fmt::format("{:<22} a{} kv{}\n", "integer runtime", activation_bits, kv_bits);
    return {dump_json(json), text};
  }
  const runtime::SimulatedBits& simulated = loaded_.model->simulated();
  json["simulated"] = {{"activation_bits", simulated.activation_bits},
                       {"activation_group", simulated.activation_group},
                       {"activation_asymmetric", simulated.activation_asymmetric},
                       {"kv_bits", simulated.kv_bits}};
  if (simulated.any()) text += fmt::format("{:<22} {}\n", "simulated", runtime::to_string(simulated));
  return {dump_json(json), text};
}

Result<runtime::Precision> reference_precision(const ModelOptions& options) {
  return is_integer(options) ? runtime::Precision::f32 : parse_precision(options.precision);
}

}  // namespace quernel::api
