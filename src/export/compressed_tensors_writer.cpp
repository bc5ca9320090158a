#include "export/compressed_tensors_writer.h"

#include <fmt/format.h>

#include <array>

#include "codec/int_pack.h"
#include "codec/int_pack_compressed_tensors.h"
#include "export/packer.h"

namespace quernel::exporting {
namespace {

// The library release whose reader our output is tested with (tests/peers); 3-bit codes need 0.17 or later.
constexpr const char* kLibraryVersion = "0.20.0";

// Transformers dequantizes in the type of the stored scales: always where a module is asymmetric (see config below), else where it
// is told to. F16 scales would give a float model weights rounded to half precision, up to 2^-11 of each off what was computed.
DType stored_scale_dtype(const FormatInput& input) {
  if (input.compact_scales) return input.info.scale_dtype;
  return input.model_dtype == DType::f32 || !input.info.symmetric ? DType::f32 : input.info.scale_dtype;
}

Status check(const FormatInput& /*input*/) { return ok_status(); }

std::vector<std::string> notes(const FormatInput& input) {
  std::vector<std::string> out;
  if (input.info.bits == 3) {
    out.emplace_back("compressed-tensors: 3-bit codes are a dense bitstream, which the library reads from 0.17 on");
  }
  if (input.info.bits == 2 || input.info.bits == 3) {
    out.push_back(
        fmt::format("compressed-tensors: {} bits have no kernel in vLLM; Transformers reads them", input.info.bits));
  }
  const bool narrow = stored_scale_dtype(input) == DType::f16;
  if (narrow && input.model_dtype == DType::bf16) {
    out.emplace_back(
        "compressed-tensors: F16 scales in a BF16 model are rounded where it is loaded in BF16; BF16 scales are not");
  }
  return out;
}

std::vector<io::PlannedTensor> plan(const FormatInput& input, const model::LinearModule& module) {
  const int bits = input.info.bits;
  const std::int64_t groups = input.info.group_size == -1 ? 1 : codec::num_groups(module.cols, input.info.group_size);
  std::vector<io::PlannedTensor> out{
      {module.name + ".weight_packed", DType::i32, {module.rows, codec::packed_words(module.cols, bits)}},
      {module.name + ".weight_scale", stored_scale_dtype(input), {module.rows, groups}},
      {module.name + ".weight_shape", DType::i64, {2}}};
  if (!input.info.symmetric) {
    out.push_back({module.name + ".weight_zero_point", DType::i32, {codec::packed_words(module.rows, bits), groups}});
  }
  return out;
}

Result<std::vector<std::byte>> pack_scales(const FormatInput& input, const codec::IntegerMatrix& matrix) {
  return codec::quantized_scales(matrix, stored_scale_dtype(input));
}

std::array<std::int64_t, 2> weight_shape(const codec::IntegerMatrix& matrix) { return {matrix.rows, matrix.cols}; }

// Keys that the library does not know are an error inside weights and inside a group.
Json weight_args(const model::QuantizationInfo& info) {
  Json args = Json::object();
  args["num_bits"] = info.bits;
  args["type"] = "int";
  args["symmetric"] = info.symmetric;
  args["strategy"] = info.group_size == -1 ? "channel" : "group";
  args["group_size"] = info.group_size == -1 ? Json(nullptr) : Json(info.group_size);
  args["dynamic"] = false;
  // "weight": the order was used while rounding and leaves no trace in the layout.
  args["actorder"] = info.act_order ? Json("weight") : Json(nullptr);
  return args;
}

Json config(const FormatInput& input, const std::string& /*version*/) {
  Json group = Json::object();
  group["targets"] = Json::array({"Linear"});
  group["weights"] = weight_args(input.info);
  group["input_activations"] = nullptr;
  group["output_activations"] = nullptr;
  Json out = Json::object();
  out["quant_method"] = "compressed-tensors";
  out["version"] = kLibraryVersion;
  out["format"] = "pack-quantized";
  out["quantization_status"] = "compressed";
  out["global_compression_ratio"] = nullptr;
  out["config_groups"]["group_0"] = std::move(group);
  out["ignore"] = Json::array({"lm_head"});
  for (const std::string& module : input.dense_modules) out["ignore"].push_back(module);
  out["kv_cache_scheme"] = nullptr;
  // Transformers 5 with library 0.20 prepares a zero point of the unpacked shape and then refuses the packed one; told to
  // dequantize while loading, it reads it. Other engines do not know the key and pass over it.
  if (!input.info.symmetric) out["dequantize"] = true;
  return out;
}

}  // namespace

Format compressed_tensors_format() {
  return {.name = "compressed-tensors",
          .summary =
              "pack-quantized weights of vLLM, llm-compressor and Transformers: codes packed along the inputs of a row",
          .bits = {2, 3, 4, 8},
          .asymmetric = true,
          .scattered_groups = false,
          .tail_groups = false,
          .two_level = false,
          .online_transforms = false,
          .outliers = false,
          .scale_dtypes = {DType::f16, DType::bf16, DType::f32},
          .check = check,
          .notes = notes,
          .plan = plan,
          .pack = {packed<codec::quantized_weight_packed>, pack_scales, packed<weight_shape>,
                   packed<codec::quantized_zero_points>},
          .config = config,
          .config_file = nullptr};
}

}  // namespace quernel::exporting
