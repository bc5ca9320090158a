#include "model/layer_types.h"

#include <functional>
#include <string>
#include <vector>

namespace quernel::model {

namespace {

Result<OptionalInt> read_window(const Json& json, OptionalInt if_absent) {
  QUERNEL_TRY(const OptionalInt window, json_optional_int(json, "sliding_window", if_absent));
  if (window && *window < 1)
    return Error(Fault::corrupt, "sliding_window is not positive")
        .in_field("sliding_window")
        .expect("a positive number of tokens", std::to_string(*window));
  return window;
}

// One flag a layer from layer_types: true for sliding_attention. Nothing where the field is absent.
Result<std::optional<std::vector<bool>>> read_layer_types(const Json& json, std::int64_t num_layers) {
  const Json* types = json_member(json, "layer_types");
  if (types == nullptr) return std::optional<std::vector<bool>>{};
  if (!types->is_array() || static_cast<std::int64_t>(types->size()) != num_layers)
    return Error(Fault::corrupt, "layer_types is not a list with one entry a layer")
        .in_field("layer_types")
        .expect(fmt::format("{} entries", num_layers),
                types->is_array() ? fmt::format("{} entries", types->size()) : json_excerpt(*types));
  std::vector<bool> slides;
  for (const Json& type : *types) {
    if (type != "full_attention" && type != "sliding_attention" && type != "attention")
      return Error(Fault::unsupported, "layer type is not supported")
          .in_field("layer_types")
          .expect("full_attention or sliding_attention", json_excerpt(type));
    slides.push_back(type == "sliding_attention");
  }
  return std::optional{std::move(slides)};
}

Status apply(const Json& json, OptionalInt window, const std::function<bool(std::int64_t)>& slides_by_rule,
             ModelConfig& config) {
  QUERNEL_TRY(const auto listed, read_layer_types(json, config.num_layers));
  for (std::int64_t i = 0; i < config.num_layers; ++i) {
    const auto index = static_cast<std::size_t>(i);
    if (!(listed ? (*listed)[index] : slides_by_rule(i))) continue;
    if (!window)
      return Error(Fault::corrupt, "a layer slides, but no window is given")
          .in_field("sliding_window")
          .expect("a positive number of tokens", "none")
          .with_hint(fmt::format("layer_types[{}] is sliding_attention", i));
    config.layers[index].sliding_window = window;
  }
  return ok_status();
}

}  // namespace

Status read_window_everywhere(const Json& json, OptionalInt if_absent, ModelConfig& config) {
  QUERNEL_TRY(const OptionalInt window, read_window(json, if_absent));
  for (LayerConfig& layer : config.layers) layer.sliding_window = window;
  return ok_status();
}

Status read_late_windows(const Json& json, std::int64_t default_window, std::int64_t default_first,
                         ModelConfig& config) {
  QUERNEL_TRY(const bool used, json_bool_or(json, "use_sliding_window", false));
  OptionalInt window;
  if (used) {
    QUERNEL_TRY(window, read_window(json, default_window));
  }
  QUERNEL_TRY(const std::int64_t first, json_int_or(json, "max_window_layers", default_first));
  return apply(json, window, [&](std::int64_t layer) { return window.has_value() && layer >= first; }, config);
}

Status read_periodic_windows(const Json& json, std::int64_t default_window, std::int64_t period, ModelConfig& config) {
  QUERNEL_TRY(const OptionalInt window, read_window(json, default_window));
  return apply(json, window, [&](std::int64_t layer) { return (layer + 1) % period != 0; }, config);
}

Status read_unrotated_layers(const Json& json, ModelConfig& config) {
  QUERNEL_TRY(const std::int64_t interval, json_int_or(json, "no_rope_layer_interval", 4));
  if (interval < 1)
    return Error(Fault::corrupt, "no_rope_layer_interval is not positive").in_field("no_rope_layer_interval");
  const bool listed = json_member(json, "no_rope_layers") != nullptr;
  QUERNEL_TRY(const std::vector<std::int64_t> rotates, json_int_list(json, "no_rope_layers", OptionalInt{}));
  if (listed && static_cast<std::int64_t>(rotates.size()) < config.num_layers)
    return Error(Fault::corrupt, "no_rope_layers has fewer entries than there are layers")
        .in_field("no_rope_layers")
        .expect(fmt::format("{} entries", config.num_layers), fmt::format("{} entries", rotates.size()));
  for (std::int64_t i = 0; i < config.num_layers; ++i) {
    const auto index = static_cast<std::size_t>(i);
    config.layers[index].rotates = listed ? rotates[index] != 0 : (i + 1) % interval != 0;
  }
  QUERNEL_TRY(const bool used, json_bool_or(json, "use_sliding_window", false));
  if (!used) return ok_status();  // layer_types is then only a description
  QUERNEL_TRY(const OptionalInt window, read_window(json, OptionalInt{}));
  const auto by_rule = [&](std::int64_t i) { return window && !config.layers[static_cast<std::size_t>(i)].rotates; };
  return apply(json, window, by_rule, config);
}

}  // namespace quernel::model
