#include "export/awq_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "codec/int_pack_awq.h"
#include "export/packer.h"

namespace quernel::exporting {
namespace {

// What the kernels of vLLM and SGLang take.
constexpr std::array<std::int64_t, 4> kKernelGroups{-1, 32, 64, 128};

Status check(const FormatInput& input) {
  for (const model::LinearModule& module : input.modules) {
    if (module.rows % codec::kAwqOutputsPerWord == 0) continue;
    return Error(Fault::unsupported, "awq packs eight outputs a word")
        .in_tensor(module.name)
        .in_field("shape")
        .expect("outputs in multiples of 8", to_string(Shape{module.rows, module.cols}))
        .with_hint("leave the module dense (--ignore), or use compressed-tensors");
  }
  return ok_status();
}

// "mlp.down_proj" of "model.layers.3.mlp.down_proj".
std::string place_in_layer(const std::string& module) {
  const std::string mark = ".layers.";
  const std::size_t layer = module.find(mark);
  if (layer == std::string::npos) return module;
  const std::size_t end = module.find('.', layer + mark.size());
  return end == std::string::npos ? module : module.substr(end + 1);
}

std::set<std::string> quantized_places(const FormatInput& input) {
  std::set<std::string> places;
  for (const model::LinearModule& module : input.modules) places.insert(place_in_layer(module.name));
  return places;
}

std::vector<std::string> notes(const FormatInput& input) {
  std::vector<std::string> out;
  const std::int64_t size = input.info.group_size;
  if (std::find(kKernelGroups.begin(), kKernelGroups.end(), size) == kKernelGroups.end())
    out.push_back(fmt::format("awq: kernels of vLLM and SGLang take groups of 32, 64, 128 or a row, not {}", size));
  if (std::any_of(input.modules.begin(), input.modules.end(),
                  [](const model::LinearModule& module) { return module.rows % 64 != 0 || module.cols % 64 != 0; }))
    out.emplace_back("awq: a side is no multiple of 64: Marlin kernels refuse it");
  const std::set<std::string> places = quantized_places(input);
  if (std::any_of(input.dense_modules.begin(), input.dense_modules.end(),
                  [&](const std::string& module) { return places.contains(place_in_layer(module)); }))
    out.emplace_back("awq: modules are dense in some layers only, which AutoAWQ's own loader cannot express");
  return out;
}

std::vector<io::PlannedTensor> plan(const FormatInput& input, const model::LinearModule& module) {
  const std::int64_t groups = input.info.group_size == -1 ? 1 : codec::num_groups(module.cols, input.info.group_size);
  const std::int64_t words = module.rows / codec::kAwqOutputsPerWord;
  return {{module.name + ".qweight", DType::i32, {module.cols, words}},
          {module.name + ".qzeros", DType::i32, {groups, words}},
          {module.name + ".scales", DType::f16, {groups, module.rows}}};
}

Json dense_names(const FormatInput& input) {
  if (input.dense_modules.empty()) return nullptr;
  const std::set<std::string> quantized = quantized_places(input);
  std::set<std::string> places;
  Json names = Json::array();
  for (const std::string& module : input.dense_modules) {
    const std::string place = place_in_layer(module);
    if (!quantized.contains(place) && places.insert(place).second) names.push_back(place);
    names.push_back(module);
  }
  return names;
}

// The keys that AutoAWQ writes, under the names of config.json (its own quant_config.json has others).
Json config(const FormatInput& input, const std::string& /*version*/) {
  Json out = Json::object();
  out["quant_method"] = "awq";
  out["bits"] = input.info.bits;
  out["group_size"] = input.info.group_size;
  out["zero_point"] = true;
  out["version"] = "gemm";
  out["modules_to_not_convert"] = dense_names(input);
  return out;
}

}  // namespace

Format awq_format() {
  return {.name = "awq",
          .summary =
              "AWQ layout (gemm) of AutoAWQ, Transformers and vLLM: 4-bit codes packed along the outputs, F16 scales",
          .bits = {codec::kAwqBits},
          .asymmetric = true,
          .scattered_groups = false,
          .tail_groups = false,
          .two_level = false,
          .online_transforms = false,
          .outliers = false,
          .scale_dtypes = {DType::f16},
          .check = check,
          .notes = notes,
          .plan = plan,
          .pack = {packed<codec::awq_qweight>, packed<codec::awq_qzeros>, packed<codec::awq_scales>},
          .config = config,
          .config_file = nullptr};
}

}  // namespace quernel::exporting
