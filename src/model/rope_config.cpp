#include "model/rope_config.h"

#include <cmath>
#include <string>

#include "model/json_fields.h"

namespace quernel::model {

namespace {

constexpr double kMaxTheta = 1e15;
constexpr double kMaxFactor = 1e6;

Status check_range(double value, double low, double high, const std::string& key) {
  if (value >= low && value <= high) return ok_status();
  return Error(Fault::corrupt, "rope constant out of bounds")
      .in_field(key)
      .expect(fmt::format("{} .. {}", low, high), fmt::format("{}", value));
}

// ln(factor) enters cos and sin: the correction of the YaRN paper.
double yarn_mscale(double factor, double mscale) { return factor <= 1.0 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0; }

Result<double> factor_of(const Json& params) {
  QUERNEL_TRY(const double factor, json_finite(params, "factor"));
  QUERNEL_TRY_STATUS(check_range(factor, 1e-3, kMaxFactor, "factor"));
  return factor;
}

Status read_llama3(const Json& params, RopeConfig& rope) {
  QUERNEL_TRY(rope.factor, factor_of(params));
  QUERNEL_TRY(rope.low_freq_factor, json_finite(params, "low_freq_factor"));
  QUERNEL_TRY(rope.high_freq_factor, json_finite(params, "high_freq_factor"));
  QUERNEL_TRY_STATUS(check_range(rope.low_freq_factor, 1e-6, kMaxFactor, "low_freq_factor"));
  QUERNEL_TRY_STATUS(check_range(rope.high_freq_factor, 1e-6, kMaxFactor, "high_freq_factor"));
  if (rope.high_freq_factor <= rope.low_freq_factor)
    return Error(Fault::corrupt, "high_freq_factor is not above low_freq_factor")
        .in_field("high_freq_factor")
        .expect(fmt::format("above {}", rope.low_freq_factor), fmt::format("{}", rope.high_freq_factor));
  return ok_status();
}

Status read_yarn(const Json& params, const ModelConfig& config, RopeConfig& rope) {
  if (json_member(params, "factor") == nullptr && params.contains("factor")) {
    rope.factor = static_cast<double>(config.max_positions) / rope.original_context;
  } else {
    QUERNEL_TRY(rope.factor, factor_of(params));
  }
  QUERNEL_TRY(rope.beta_fast, json_finite_or(params, "beta_fast", 32.0));
  QUERNEL_TRY(rope.beta_slow, json_finite_or(params, "beta_slow", 1.0));
  if (rope.beta_fast == 0.0) rope.beta_fast = 32.0;  // Transformers takes 0 as "not given"
  if (rope.beta_slow == 0.0) rope.beta_slow = 1.0;
  QUERNEL_TRY_STATUS(check_range(rope.beta_fast, 1e-6, kMaxFactor, "beta_fast"));
  QUERNEL_TRY_STATUS(check_range(rope.beta_slow, 1e-6, kMaxFactor, "beta_slow"));
  QUERNEL_TRY(rope.truncate, json_bool_or(params, "truncate", true));
  QUERNEL_TRY(const double mscale, json_finite_or(params, "mscale", 0.0));
  QUERNEL_TRY(const double mscale_all, json_finite_or(params, "mscale_all_dim", 0.0));
  const bool both = mscale != 0.0 && mscale_all != 0.0;
  const double inferred =
      both ? yarn_mscale(rope.factor, mscale) / yarn_mscale(rope.factor, mscale_all) : yarn_mscale(rope.factor, 1.0);
  QUERNEL_TRY(rope.attention_factor, json_finite_or(params, "attention_factor", inferred));
  return check_range(rope.attention_factor, 1e-6, kMaxFactor, "attention_factor");
}

// The length that the unscaled rotation was trained on. Phi-3 keeps it beside the object, and that place wins.
Status read_original_context(const Json& params, const Json& json, const ModelConfig& config, RopeConfig& rope) {
  const std::string key = "original_max_position_embeddings";
  const Json& holder = json_member(json, key) != nullptr ? json : params;
  QUERNEL_TRY(rope.original_context, json_finite_or(holder, key, static_cast<double>(config.max_positions)));
  return check_range(rope.original_context, 1.0, static_cast<double>(std::int64_t{1} << 40), key);
}

Status read_rotary_dim(const Json& params, const Json& json, const Architecture& architecture,
                       const ModelConfig& config, RopeConfig& rope) {
  const std::string key = "partial_rotary_factor";
  const Json& holder = json_member(params, key) != nullptr ? params : json;
  QUERNEL_TRY(const double part, json_finite_or(holder, key, 1.0));
  if (part != 1.0 && !architecture.partial_rotary)
    return Error(Fault::unsupported, fmt::format("{} with a partial rotation", architecture.hf_name))
        .in_field(key)
        .expect("1.0", fmt::format("{}", part));
  QUERNEL_TRY_STATUS(check_range(part, 0.0, 1.0, key));
  rope.rotary_dim = static_cast<std::int64_t>(static_cast<double>(config.head_dim) * part);
  if (rope.rotary_dim < 2 || rope.rotary_dim % 2 != 0)
    return Error(Fault::corrupt, "rotated part of a head is not an even number of elements")
        .in_field(key)
        .expect("an even number from 2", std::to_string(rope.rotary_dim));
  return ok_status();
}

Result<std::string> rope_type(const Json& params) {
  QUERNEL_TRY(const std::string old_style, json_string_or(params, "type", "default"));
  return json_string_or(params, "rope_type", old_style);
}

// One set of constants: `params` is a rope_parameters or rope_scaling object, `json` the whole config.
Result<RopeConfig> read_one(const Json& params, const Json& json, const Architecture& architecture,
                            const ModelConfig& config, double default_theta) {
  if (!params.is_object())
    return Error(Fault::corrupt, "rope parameters are not an object").expect("an object", json_excerpt(params));
  RopeConfig rope;
  QUERNEL_TRY(rope.theta, json_finite_or(params, "rope_theta", default_theta));
  // The exponent's base: at 1 or below no wavelength grows, and YaRN divides by its logarithm.
  if (!(rope.theta > 1.0)) QUERNEL_TRY_STATUS(check_range(rope.theta, 1.0 + 1e-9, kMaxTheta, "rope_theta"));
  QUERNEL_TRY_STATUS(check_range(rope.theta, 1.0, kMaxTheta, "rope_theta"));
  QUERNEL_TRY_STATUS(read_rotary_dim(params, json, architecture, config, rope));
  QUERNEL_TRY(const std::string type, rope_type(params));
  if (type == "default" || type == "none") return rope;
  if (type == "linear") {
    rope.scaling = RopeScaling::linear;
    QUERNEL_TRY(rope.factor, factor_of(params));
    return rope;
  }
  // Old Phi-3 files say "yarn" or "su" for longrope.
  const bool yarn = type == "yarn" && architecture.family != "phi3";
  if (!yarn && type != "llama3")
    return Error(Fault::unsupported, fmt::format("rope type '{}' is not supported", type))
        .in_field("rope_type")
        .expect("default, linear, llama3 or yarn", type)
        .with_hint("types whose angles change with the length of the text are not implemented");
  QUERNEL_TRY_STATUS(read_original_context(params, json, config, rope));
  rope.scaling = yarn ? RopeScaling::yarn : RopeScaling::llama3;
  QUERNEL_TRY_STATUS(yarn ? read_yarn(params, config, rope) : read_llama3(params, rope));
  return rope;
}

struct RopeObjects {
  Json full = Json::object();
  Json sliding = Json::object();
  bool by_layer_type = false;
};

// Both styles and their combinations, with the precedence of Transformers: rope_scaling before rope_parameters, except
// that in families with two rotations it only completes the one of full attention.
Result<RopeObjects> find_objects(const Json& json, const Architecture& architecture) {
  RopeObjects objects;
  objects.by_layer_type = architecture.defaults.rope_theta_local > 0.0;
  const Json* scaling = json_member(json, "rope_scaling");
  const Json* parameters = json_member(json, "rope_parameters");
  for (const auto& [object, key] : {std::pair{scaling, "rope_scaling"}, std::pair{parameters, "rope_parameters"}})
    if (object != nullptr && !object->is_object())
      return Error(Fault::corrupt, "rope parameters are not an object")
          .in_field(key)
          .expect("an object", json_excerpt(*object));
  if (parameters != nullptr && (scaling == nullptr || objects.by_layer_type)) {
    const Json* full = json_member(*parameters, "full_attention");
    const Json* sliding = json_member(*parameters, "sliding_attention");
    const bool nested = full != nullptr || sliding != nullptr;
    if (objects.by_layer_type && !nested && !parameters->empty())
      return Error(Fault::corrupt, "rope_parameters are not given by layer type")
          .in_field("rope_parameters")
          .expect("full_attention and sliding_attention", json_excerpt(*parameters));
    objects.by_layer_type |= nested;
    if (!nested) objects.full = *parameters;
    if (full != nullptr) objects.full = *full;
    if (sliding != nullptr) objects.sliding = *sliding;
  }
  if (scaling != nullptr) {
    if (!objects.full.is_object())
      return Error(Fault::corrupt, "rope parameters are not an object").in_field("rope_parameters");
    objects.full.update(*scaling);
  }
  return objects;
}

}  // namespace

Status read_rope(const Json& json, const Architecture& architecture, ModelConfig& config) {
  QUERNEL_TRY(const double theta, json_finite_or(json, "rope_theta", architecture.defaults.rope_theta));
  QUERNEL_TRY(const RopeObjects objects, find_objects(json, architecture));
  QUERNEL_TRY(config.rope, read_one(objects.full, json, architecture, config, theta));
  if (!objects.by_layer_type) return ok_status();
  const double own = architecture.defaults.rope_theta_local;
  QUERNEL_TRY(const double local_theta, json_finite_or(json, "rope_local_base_freq", own > 0.0 ? own : theta));
  QUERNEL_TRY(config.rope_local, read_one(objects.sliding, json, architecture, config, local_theta));
  for (LayerConfig& layer : config.layers) layer.local_rope = layer.sliding_window.has_value();
  return ok_status();
}

}  // namespace quernel::model
