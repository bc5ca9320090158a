#include "model/awq_config.h"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <string_view>

#include "base/contains.h"
#include "codec/int_pack_awq.h"
#include "model/json_fields.h"
#include "model/quantization_fields.h"

namespace quernel::model {

namespace {

// Engines name themselves here, but repack gemm's tensors only once they are loaded.
constexpr std::array<std::string_view, 3> kGemmNames{"gemm", "exllama", "ipex"};
// Tensors in other layouts.
constexpr std::array<std::string_view, 3> kOtherNames{"gemv", "gemv_fast", "llm-awq"};

std::string lower(std::string text) {
  for (char& letter : text) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  return text;
}

Status read_version(const Json& object, QuantizationConfig& config) {
  const std::string key = first_key(object, {"version", "format", "checkpoint_format"});
  QUERNEL_TRY(const std::string version, json_string_or(object, key, "gemm"));
  config.info.format = lower(version);
  if (!contains(kGemmNames, config.info.format))
    return Error(Fault::unsupported, fmt::format("AWQ checkpoints in version '{}' cannot be read", version))
        .in_field(key)
        .expect("gemm, exllama or ipex", version)
        .with_hint("take the model's gemm version, or quantize the dense model");
  QUERNEL_TRY(const std::string backend, json_string_or(object, "backend", "autoawq"));
  if (lower(backend) != "llm-awq") return ok_status();
  return Error(Fault::unsupported, "weights in the layout of llm-awq cannot be read")
      .in_field("backend")
      .expect("autoawq", backend);
}

Result<WeightScheme> read_scheme(const Json& object) {
  WeightScheme scheme;
  const std::string bits_key = first_key(object, {"bits", "w_bit"});
  QUERNEL_TRY(const std::int64_t bits, json_int(object, bits_key));
  if (bits != codec::kAwqBits)
    return Error(Fault::unsupported, "AWQ weights of this many bits cannot be read")
        .in_field(bits_key)
        .expect("4", std::to_string(bits));
  scheme.bits = codec::kAwqBits;
  const std::string size_key = first_key(object, {"group_size", "q_group_size"});
  QUERNEL_TRY(const std::int64_t size, json_int(object, size_key));
  QUERNEL_TRY(scheme.group_size, check_group_size(size, size_key));
  // Not "sym": Transformers puts GPTQ's default of it into AWQ's configurations too.
  QUERNEL_TRY(const bool zero_point, json_bool_or(object, "zero_point", true));
  scheme.symmetric = !zero_point;
  return scheme;
}

}  // namespace

bool is_awq_version(const std::string& version) {
  return contains(kGemmNames, lower(version)) || contains(kOtherNames, lower(version));
}

Result<QuantizationConfig> read_awq_config(const Json& object) {
  QuantizationConfig config;
  config.layout = PackedLayout::awq;
  config.info.method = "awq";
  QUERNEL_TRY(const WeightScheme scheme, read_scheme(object));
  config.schemes.push_back(scheme);
  QUERNEL_TRY_STATUS(read_version(object, config));
  return config;
}

}  // namespace quernel::model
