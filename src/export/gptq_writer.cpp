#include "export/gptq_writer.h"

#include <fmt/format.h>

#include "base/checked.h"
#include "codec/int_pack.h"
#include "codec/int_pack_gptq.h"
#include "export/packer.h"

namespace quernel::exporting {
namespace {

std::int64_t groups_of(const FormatInput& input, const model::LinearModule& module) {
  return input.info.group_size == -1 ? 1 : ceil_div(module.cols, input.info.group_size);
}

// The 3-bit packing is defined on 32 codes at a time, along both sides.
Status check(const FormatInput& input) {
  if (input.info.bits != 3) return ok_status();
  for (const model::LinearModule& module : input.modules) {
    if (module.rows % 32 == 0 && module.cols % 32 == 0) continue;
    return Error(Fault::unsupported, "3-bit gptq needs inputs and outputs in multiples of 32")
        .in_tensor(module.name)
        .in_field("shape")
        .expect("multiples of 32", to_string(Shape{module.rows, module.cols}))
        .with_hint("use 2, 4 or 8 bits, or compressed-tensors");
  }
  return ok_status();
}

// Words hold 32 / bits codes: a side that is no multiple of it ends in a word that is partly empty.
void note_shapes(const FormatInput& input, std::vector<std::string>& notes) {
  const std::int64_t step = input.info.bits == 3 ? 32 : 32 / input.info.bits;
  const std::int64_t size = input.info.group_size;
  bool partial = false;
  bool tail = false;
  bool marlin = true;
  for (const model::LinearModule& module : input.modules) {
    partial = partial || module.rows % step != 0 || module.cols % step != 0;
    tail = tail || (size != -1 && module.cols % size != 0);
    marlin = marlin && module.rows % 64 == 0 && module.cols % 64 == 0;
  }
  if (partial)
    notes.push_back(fmt::format("gptq: a side is no multiple of {}: vLLM and the fast kernels refuse it", step));
  if (tail) {
    notes.push_back(
        fmt::format("gptq: the last group of a row is shorter than {}: vLLM refuses it; {} divides every input", size,
                    nearest_group_size(input.modules, size)));
  }
  if (!marlin) notes.emplace_back("gptq: a side is no multiple of 64: Marlin kernels refuse it");
}

std::vector<std::string> notes(const FormatInput& input) {
  std::vector<std::string> out;
  const std::int64_t size = input.info.group_size;
  if (!input.info.symmetric) {
    out.emplace_back(
        "gptq: asymmetric zeros are stored as gptq_v2; onnxruntime-genai and old AutoGPTQ kernels misread them");
  }
  if (input.info.bits == 2 || input.info.bits == 3) {
    out.push_back(fmt::format("gptq: {} bits have no fast kernel in vLLM (Marlin takes 4 and 8)", input.info.bits));
  }
  const bool known = size == -1 || (size >= 16 && size <= 1024 && (size & (size - 1)) == 0);
  if (!known)
    out.push_back(fmt::format("gptq: GPTQModel refuses groups of {} (-1 and powers of two from 16 to 1024)", size));
  if (input.scattered_groups) out.emplace_back("gptq: desc_act with scattered groups is slower in every engine");
  note_shapes(input, out);
  return out;
}

std::vector<io::PlannedTensor> plan(const FormatInput& input, const model::LinearModule& module) {
  const int bits = input.info.bits;
  const std::int64_t groups = groups_of(input, module);
  return {{module.name + ".qweight", DType::i32, {codec::packed_words(module.cols, bits), module.rows}},
          {module.name + ".qzeros", DType::i32, {groups, codec::packed_words(module.rows, bits)}},
          {module.name + ".scales", DType::f16, {groups, module.rows}},
          {module.name + ".g_idx", DType::i32, {module.cols}}};
}

std::vector<std::uint32_t> qzeros(const codec::IntegerMatrix& matrix) {
  return codec::gptq_qzeros(matrix, matrix.symmetric ? codec::GptqZeros::v1 : codec::GptqZeros::v2);
}

std::vector<std::int32_t> g_idx(const codec::IntegerMatrix& matrix) { return matrix.group_of_column; }

// PCRE that GPTQModel anchors at the start of the module's name.
std::string pattern_of(const std::string& module) {
  std::string pattern = "-:^";
  for (const char letter : module) {
    if (letter == '.') pattern += '\\';
    pattern += letter;
  }
  return pattern + "$";
}

Json config(const FormatInput& input, const std::string& version) {
  const model::QuantizationInfo& info = input.info;
  const char* label = info.symmetric ? "gptq" : "gptq_v2";
  Json out = Json::object();
  out["quant_method"] = "gptq";
  out["bits"] = info.bits;
  out["group_size"] = info.group_size;
  out["desc_act"] = input.scattered_groups;
  out["sym"] = info.symmetric;
  out["lm_head"] = false;
  out["checkpoint_format"] = label;
  out["format"] = label;
  out["pack_dtype"] = "int32";
  if (!input.dense_modules.empty()) {
    out["dynamic"] = Json::object();
    for (const std::string& module : input.dense_modules) out["dynamic"][pattern_of(module)] = Json::object();
  }
  Json meta = Json::object();
  meta["quantizer"] = Json::array({"quernel:" + version});
  meta["method"] = info.method;
  if (info.method == "gptq") {
    meta["damp_percent"] = info.damp;
    meta["act_order"] = info.act_order;
    meta["static_groups"] = info.static_groups;
    meta["true_sequential"] = true;
  }
  out["meta"] = std::move(meta);
  return out;
}

}  // namespace

Format gptq_format() {
  return {.name = "gptq",
          .summary = "GPTQ layout of GPTQModel, AutoGPTQ and Transformers: codes packed along the inputs, F16 scales",
          .bits = {2, 3, 4, 8},
          .asymmetric = true,
          .scattered_groups = true,
          .tail_groups = true,
          .two_level = false,
          .online_transforms = false,
          .outliers = false,
          .scale_dtypes = {DType::f16},
          .check = check,
          .notes = notes,
          .plan = plan,
          .pack = {packed<codec::gptq_qweight>, packed<qzeros>, packed<codec::gptq_scales>, packed<g_idx>},
          .config = config,
          .config_file = "quantize_config.json"};
}

}  // namespace quernel::exporting
