#include "export/quernel_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/checked.h"
#include "codec/two_level.h"
#include "export/packer.h"
#include "model/quantization_config.h"

namespace quernel::exporting {
namespace {

// What the integer kernels sum between two scales.
constexpr std::array<std::int64_t, 4> kGroupSizes{-1, 32, 64, 128};

Status check(const FormatInput& input) {
  const std::int64_t size = input.info.group_size;
  if (std::find(kGroupSizes.begin(), kGroupSizes.end(), size) != kGroupSizes.end()) return ok_status();
  const std::int64_t nearest = size < 48 ? 32 : size < 96 ? 64 : 128;
  return Error(Fault::unsupported, "quernel cannot hold groups of this size")
      .in_field("group_size")
      .expect("32, 64, 128, -1", fmt::to_string(size))
      .with_hint(fmt::format("nearest valid: {}", nearest));
}

std::vector<std::string> notes(const FormatInput& /*input*/) {
  return {"quernel: the format of Quernel's own runtime; other engines do not read it"};
}

std::vector<io::PlannedTensor> plan(const FormatInput& input, const model::LinearModule& module) {
  const std::int64_t size = input.info.group_size;
  const std::int64_t groups = size == -1 ? 1 : ceil_div(module.cols, size);
  std::vector<io::PlannedTensor> tensors = {
      {module.name + ".codes", DType::u8, {module.rows, ceil_div<std::int64_t>(module.cols, 2)}},
      {module.name + ".groups", DType::u8, {module.rows, groups}},
      {module.name + ".scales", input.info.scale_dtype, {module.rows}}};
  const auto listed = input.outliers.find(module.name);
  if (listed == input.outliers.end()) return tensors;
  tensors.push_back({module.name + ".outlier_index", DType::i32, {listed->second, 2}});
  tensors.push_back({module.name + ".outlier_values", DType::f32, {listed->second}});
  return tensors;
}

Json config(const FormatInput& input, const std::string& version) {
  Json out = Json::object();
  out["quant_method"] = "quernel";
  out["version"] = input.outliers.empty() ? model::kNativeFormatVersion : model::kNativeFormatWithOutliers;
  out["format"] = "two-level-int4";
  out["bits"] = input.info.bits;
  out["group_size"] = input.info.group_size;
  out["symmetric"] = input.info.symmetric;
  out["method"] = input.info.method;
  out["tool"] = "quernel " + version;
  out["ignore"] = Json::array({"lm_head"});
  for (const std::string& module : input.dense_modules) out["ignore"].push_back(module);
  return out;
}

}  // namespace

Format quernel_format() {
  return {.name = "quernel",
          .summary = "Quernel's own: two-level INT4 for the integer runtime, 4.14 bits a weight in groups of 64",
          .bits = {4},
          .asymmetric = true,
          .scattered_groups = false,
          .tail_groups = true,
          .two_level = true,
          .online_transforms = true,
          .outliers = true,
          .scale_dtypes = {DType::f16, DType::bf16},
          .check = check,
          .notes = notes,
          .plan = plan,
          .pack = {packed<codec::two_level_codes>, packed<codec::two_level_groups>, packed<codec::two_level_scales>,
                   packed<codec::outlier_index>, packed<codec::outlier_values>},
          .config = config,
          .config_file = nullptr};
}

}  // namespace quernel::exporting
