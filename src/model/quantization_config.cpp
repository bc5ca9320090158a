#include "model/quantization_config.h"

#include <algorithm>

#include "codec/int_pack.h"
#include "codec/integer_matrix.h"
#include "model/awq_config.h"
#include "model/json_fields.h"
#include "model/quantization_fields.h"

namespace quernel::model {

namespace {

Result<bool> read_symmetry(const Json& object, bool fallback) {
  if (json_member(object, "sym") == nullptr && json_member(object, "zero_point") != nullptr) {
    QUERNEL_TRY(const bool has_zero_points, json_bool(object, "zero_point"));
    return !has_zero_points;
  }
  return json_bool_or(object, "sym", fallback);
}

// Overrides of single modules: their numbers are allowed besides the general ones.
Status read_dynamic(const Json& object, QuantizationConfig& config) {
  const Json* dynamic = json_member(object, "dynamic");
  if (dynamic == nullptr) return ok_status();
  if (!dynamic->is_object())
    return Error(Fault::corrupt, "dynamic is not an object")
        .in_field("dynamic")
        .expect("an object", json_excerpt(*dynamic));
  for (const auto& [pattern, overrides] : dynamic->items()) {
    if (pattern.starts_with("-:") || !overrides.is_object()) continue;
    WeightScheme scheme = config.schemes.front();
    if (json_member(overrides, "bits") != nullptr) {
      QUERNEL_TRY(scheme.bits, read_bits(overrides, "bits", false));
    }
    QUERNEL_TRY(const std::int64_t size, json_int_or(overrides, "group_size", scheme.group_size));
    QUERNEL_TRY(scheme.group_size, check_group_size(size, "group_size"));
    QUERNEL_TRY(scheme.symmetric, read_symmetry(overrides, scheme.symmetric));
    config.schemes.push_back(scheme);
  }
  return ok_status();
}

Status read_gptq_format(const Json& object, QuantizationConfig& config) {
  const std::string key = first_key(object, {"checkpoint_format", "format", "version"});
  QUERNEL_TRY(config.info.format, json_string_or(object, key, "gptq"));
  config.planar = config.info.format == "gptq_p";
  if (config.info.format == "gptq_v2" || config.planar) {
    config.zeros = codec::GptqZeros::v2;
  } else if (config.info.format != "gptq") {
    return Error(Fault::unsupported, fmt::format("GPTQ checkpoints in format '{}' cannot be read", config.info.format))
        .in_field(key)
        .expect("gptq or gptq_v2", config.info.format);
  }
  QUERNEL_TRY(const bool marlin, json_bool_or(object, "is_marlin_format", false));
  if (marlin)
    return Error(Fault::unsupported, "Marlin's own weight layout cannot be read").in_field("is_marlin_format");
  QUERNEL_TRY(const std::string word, json_string_or(object, "pack_dtype", "int32"));
  if (word != "int32")
    return Error(Fault::unsupported, "codes packed in other words than int32 cannot be read")
        .in_field("pack_dtype")
        .expect("int32", word);
  return ok_status();
}

Result<QuantizationConfig> read_gptq(const Json& object) {
  QuantizationConfig config;
  config.layout = PackedLayout::gptq;
  WeightScheme scheme;
  QUERNEL_TRY(scheme.bits, read_bits(object, first_key(object, {"bits", "w_bit", "wbits"}), false));
  const std::string size_key = first_key(object, {"group_size", "q_group_size"});
  QUERNEL_TRY(const std::int64_t size, json_int(object, size_key));
  QUERNEL_TRY(scheme.group_size, check_group_size(size, size_key));
  QUERNEL_TRY(scheme.symmetric, read_symmetry(object, true));
  config.schemes.push_back(scheme);
  QUERNEL_TRY_STATUS(read_gptq_format(object, config));
  QUERNEL_TRY_STATUS(read_dynamic(object, config));
  config.info.method = "gptq";
  QUERNEL_TRY(config.info.act_order, json_bool_or(object, "desc_act", false));
  // Newer writers keep these under meta.
  const Json* meta = json_member(object, "meta");
  const Json& notes =
      meta != nullptr && meta->is_object() && object.find("damp_percent") == object.end() ? *meta : object;
  QUERNEL_TRY(config.info.damp, json_finite_or(notes, "damp_percent", 0.01));
  QUERNEL_TRY(config.info.static_groups, json_bool_or(notes, "static_groups", false));
  return config;
}

Status refuse_runtime_transforms(const Json& object) {
  const Json* transforms = json_member(object, "transform_config");
  const Json* groups = transforms == nullptr ? nullptr : json_member(*transforms, "config_groups");
  if (groups == nullptr || !groups->is_object()) return ok_status();
  for (const auto& [name, group] : groups->items()) {
    const Json* applied = json_member(group, "apply");
    if (applied == nullptr || !applied->is_array()) continue;
    for (const Json& place : *applied) {
      QUERNEL_TRY(const std::string location, json_string_or(place, "location", ""));
      if (location == "weight_input" || location == "weight_output") continue;  // already in the stored weights
      return Error(Fault::unsupported, "transforms applied at run time are not supported")
          .in_field("transform_config")
          .expect("weight_input or weight_output", location);
    }
  }
  return ok_status();
}

Status refuse_sparsity(const Json& object) {
  const Json* sparsity = json_member(object, "sparsity_config");
  if (sparsity == nullptr || !sparsity->is_object() || sparsity->empty()) return ok_status();
  QUERNEL_TRY(const std::string format, json_string_or(*sparsity, "format", "dense"));
  if (format == "dense") return ok_status();
  return Error(Fault::unsupported, "sparse checkpoints cannot be read")
      .in_field("sparsity_config")
      .expect("dense", format);
}

Status check_weight_args(const Json& weights) {
  QUERNEL_TRY(const std::string type, json_string_or(weights, "type", "int"));
  if (type != "int")
    return Error(Fault::unsupported, "only integer weights can be read").in_field("weights.type").expect("int", type);
  return ok_status();
}

Result<WeightScheme> read_weight_args(const Json& weights, bool& act_order) {
  QUERNEL_TRY_STATUS(check_weight_args(weights));
  WeightScheme scheme;
  QUERNEL_TRY(scheme.bits, read_bits(weights, "num_bits", true));
  QUERNEL_TRY(scheme.symmetric, json_bool_or(weights, "symmetric", true));
  const bool sized = json_member(weights, "group_size") != nullptr;
  QUERNEL_TRY(const std::string strategy, json_string_or(weights, "strategy", sized ? "group" : "tensor"));
  if (strategy == "group") {
    QUERNEL_TRY(const std::int64_t size, json_int(weights, "group_size"));
    QUERNEL_TRY(scheme.group_size, check_group_size(size, "group_size"));
  } else if (strategy == "channel" || strategy == "tensor") {
    scheme.group_size = -1;
  } else {
    return Error(Fault::unsupported, fmt::format("weights quantized by '{}' cannot be read", strategy))
        .in_field("strategy")
        .expect("group, channel or tensor", strategy);
  }
  // true and false were once allowed for "group" and none.
  const Json* order = json_member(weights, "actorder");
  act_order = order != nullptr && *order != false && *order != "";
  return scheme;
}

Status read_group(const Json& group, const std::string& general_format, QuantizationConfig& config) {
  if (!group.is_object()) return Error(Fault::corrupt, "a config group is not an object").in_field("config_groups");
  for (const char* key : {"input_activations", "output_activations"})
    if (json_member(group, key) != nullptr)
      return Error(Fault::unsupported, "checkpoints with quantized activations cannot be read").in_field(key);
  const Json* weights = json_member(group, "weights");
  if (weights == nullptr) return ok_status();
  QUERNEL_TRY(const std::string format, json_string_or(group, "format", general_format));
  if (format != "pack-quantized")
    return Error(Fault::unsupported, fmt::format("compressed-tensors format '{}' cannot be read", format))
        .in_field("format")
        .expect("pack-quantized", format);
  bool act_order = false;
  QUERNEL_TRY(const WeightScheme scheme, read_weight_args(*weights, act_order));
  if (config.schemes.empty()) config.info.act_order = act_order;
  config.schemes.push_back(scheme);
  return ok_status();
}

Result<QuantizationConfig> read_compressed_tensors(const Json& object) {
  QuantizationConfig config;
  config.layout = PackedLayout::pack_quantized;
  config.info.method = "compressed-tensors";
  config.info.format = "pack-quantized";
  QUERNEL_TRY(const std::string format, json_string_or(object, "format", "pack-quantized"));
  QUERNEL_TRY_STATUS(refuse_runtime_transforms(object));
  QUERNEL_TRY_STATUS(refuse_sparsity(object));
  const Json* groups = json_member(object, "config_groups");
  if (groups == nullptr || !groups->is_object())
    return Error(Fault::not_found, "no config_groups").in_field("config_groups");
  for (const auto& [name, group] : groups->items()) QUERNEL_TRY_STATUS(read_group(group, format, config));
  if (config.schemes.empty())
    return Error(Fault::corrupt, "no group says how weights are quantized").in_field("config_groups");
  return config;
}

// Whether modules may have lists of outliers.
Result<bool> read_native_version(const Json& object) {
  QUERNEL_TRY(const std::int64_t version, json_int(object, "version"));
  if (version != kNativeFormatVersion && version != kNativeFormatWithOutliers)
    return Error(Fault::unsupported, "another version of Quernel's own format")
        .in_field("version")
        .expect(fmt::format("{} or {}", kNativeFormatVersion, kNativeFormatWithOutliers), std::to_string(version));
  QUERNEL_TRY(const std::string format, json_string(object, "format"));
  if (format != "two-level-int4")
    return Error(Fault::unsupported, "a layout that this version does not know")
        .in_field("format")
        .expect("two-level-int4", format);
  return version == kNativeFormatWithOutliers;
}

Result<QuantizationConfig> read_native(const Json& object) {
  QuantizationConfig config;
  QUERNEL_TRY(config.info.outliers, read_native_version(object));
  config.layout = PackedLayout::two_level;
  config.info.format = "two-level-int4";
  QUERNEL_TRY(config.info.method, json_string_or(object, "method", "qoq"));
  WeightScheme scheme;
  QUERNEL_TRY(scheme.bits, read_bits(object, "bits", false));
  if (scheme.bits != 4)
    return Error(Fault::corrupt, "two levels hold 4 bits").in_field("bits").expect("4", std::to_string(scheme.bits));
  QUERNEL_TRY(const std::int64_t size, json_int(object, "group_size"));
  QUERNEL_TRY(scheme.group_size, check_group_size(size, "group_size"));
  QUERNEL_TRY(scheme.symmetric, json_bool(object, "symmetric"));
  config.schemes.push_back(scheme);
  return config;
}

// Files of their own may leave out the method: then a version of AWQ's tells AutoAWQ's from GPTQ's.
Result<std::string> read_method(const Json& object) {
  QUERNEL_TRY(const std::string method, json_string_or(object, first_key(object, {"quant_method", "method"}), ""));
  if (!method.empty()) return method;
  const Json* version = json_member(object, "version");
  const bool awq = version != nullptr && version->is_string() && is_awq_version(version->get<std::string>());
  return std::string(awq ? "awq" : "gptq");
}

Result<QuantizationConfig> dispatch(const Json& object) {
  if (!object.is_object()) return Error(Fault::corrupt, "not an object").expect("an object", json_excerpt(object));
  QUERNEL_TRY(const std::string method, read_method(object));
  if (method == "gptq") return read_gptq(object);
  if (method == "awq") return read_awq_config(object);
  if (method == "compressed-tensors") return read_compressed_tensors(object);
  if (method == "quernel") return read_native(object);
  return Error(Fault::unsupported, fmt::format("checkpoints quantized with '{}' cannot be read", method))
      .in_field("quant_method")
      .expect("gptq, awq, compressed-tensors or quernel", method);
}

bool fits(const WeightScheme& scheme, PackedLayout layout, const PackedShapes& shapes) {
  const bool dense = codec::packed_words(shapes.cols, scheme.bits) == shapes.packed_words;
  const bool padded =
      layout == PackedLayout::pack_quantized && codec::padded_words(shapes.cols, scheme.bits) == shapes.packed_words;
  const std::int64_t group_size = scheme.group_size == -1 ? shapes.cols : scheme.group_size;
  const bool one_scale = shapes.num_groups == 0 && scheme.group_size == -1;
  return (dense || padded) && (one_scale || codec::num_groups(shapes.cols, group_size) == shapes.num_groups) &&
         (!shapes.symmetric || *shapes.symmetric == scheme.symmetric);
}

std::string describe(const WeightScheme& scheme) {
  return fmt::format("{} bits, group size {}, {}", scheme.bits, scheme.group_size,
                     scheme.symmetric ? "symmetric" : "asymmetric");
}

}  // namespace

Result<QuantizationConfig> read_quantization_config(const Json& object) {
  Result<QuantizationConfig> config = dispatch(object);
  if (!config.ok()) return std::move(config).error().in_field("quantization_config");
  const WeightScheme& first = config->schemes.front();
  config->info.bits = first.bits;
  config->info.group_size = first.group_size;
  config->info.symmetric = first.symmetric;
  return config;
}

Result<WeightScheme> match_scheme(const QuantizationConfig& config, const PackedShapes& shapes) {
  const WeightScheme* found = nullptr;
  for (const WeightScheme& scheme : config.schemes) {
    if (!fits(scheme, config.layout, shapes)) continue;
    if (found == nullptr) {
      found = &scheme;
    } else if (found->symmetric != scheme.symmetric) {
      // Stored zero points are right for both kinds; only the shortcut for symmetric ones is not.
      return WeightScheme{found->bits, found->group_size, false};
    }
  }
  if (found != nullptr) return *found;
  std::string stated;
  for (const WeightScheme& scheme : config.schemes) stated += (stated.empty() ? "" : "; ") + describe(scheme);
  std::string zeros = !shapes.symmetric ? "" : *shapes.symmetric ? ", no zero points" : ", zero points";
  return Error(Fault::corrupt, "shapes of a quantized module fit nothing that quantization_config says")
      .expect(stated, fmt::format("{} words for {} inputs, {} groups{}", shapes.packed_words, shapes.cols,
                                  shapes.num_groups, zeros));
}

}  // namespace quernel::model
