#include "export/tiny_model.h"

#include <gtest/gtest.h>

#include <cstring>

#include "io/safetensors_writer.h"
#include "support/temp_folder.h"
#include "sys/atomic_file.h"
#include "tensor/half.h"

namespace quernel::test {
namespace {

constexpr std::int64_t kHidden = 64;
constexpr std::int64_t kVocabulary = 64;
constexpr std::int64_t kKeyValues = 32;

// Sum of four uniform numbers, from a counter: the same on every machine.
float weight_at(std::uint64_t tensor, std::uint64_t element) {
  std::uint64_t state = tensor * 0x9e3779b97f4a7c15ULL + element * 0xbf58476d1ce4e5b9ULL + 1;
  int sum = 0;
  for (int i = 0; i < 4; ++i) {
    state = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9ULL;
    state ^= state >> 27;
    sum += static_cast<int>(state % 2048) - 1024;
  }
  return static_cast<float>(sum) / 16384.0F;
}

std::vector<io::PlannedTensor> tensors_of(const TinyOptions& options) {
  std::vector<io::PlannedTensor> plan{{"model.embed_tokens.weight", options.dtype, {kVocabulary, kHidden}},
                                      {"model.norm.weight", options.dtype, {kHidden}}};
  const auto add = [&](const std::string& name, Shape shape) {
    plan.push_back({name, options.dtype, std::move(shape)});
  };
  for (int layer = 0; layer < 2; ++layer) {
    const std::string block = "model.layers." + std::to_string(layer) + ".";
    add(block + "input_layernorm.weight", {kHidden});
    add(block + "post_attention_layernorm.weight", {kHidden});
    for (const char* part : {"q_proj", "k_proj", "v_proj", "o_proj"}) {
      const std::int64_t rows = part[0] == 'k' || part[0] == 'v' ? kKeyValues : kHidden;
      add(block + "self_attn." + part + ".weight", {rows, kHidden});
      if (options.attention_bias && part[0] != 'o') add(block + "self_attn." + part + ".bias", {rows});
    }
    add(block + "mlp.gate_proj.weight", {options.intermediate, kHidden});
    add(block + "mlp.up_proj.weight", {options.intermediate, kHidden});
    add(block + "mlp.down_proj.weight", {kHidden, options.intermediate});
  }
  if (!options.tied) add("lm_head.weight", {kVocabulary, kHidden});
  return plan;
}

std::vector<std::byte> bytes_of(const io::PlannedTensor& tensor, std::size_t index, float outlier) {
  std::size_t count = 1;
  for (const std::int64_t size : tensor.shape) count *= static_cast<std::size_t>(size);
  const std::size_t width = size_of(tensor.dtype);
  std::vector<std::byte> bytes(count * width);
  for (std::size_t i = 0; i < count; ++i) {
    float value = weight_at(index, i) + (tensor.shape.size() == 1 ? 1.0F : 0.0F);
    const bool starts_row = i % static_cast<std::size_t>(tensor.shape.back()) == 0;
    if (outlier != 0.0F && starts_row && tensor.name.ends_with("down_proj.weight")) value = outlier;
    const std::uint16_t half = tensor.dtype == DType::bf16 ? float_to_bf16(value) : float_to_f16(value);
    std::memcpy(bytes.data() + i * width,
                width == 4 ? static_cast<const void*>(&value) : static_cast<const void*>(&half), width);
  }
  return bytes;
}

std::string config_text(const TinyOptions& options) {
  Json config;
  config["architectures"] = {options.attention_bias ? "Qwen2ForCausalLM" : "LlamaForCausalLM"};
  config["model_type"] = options.attention_bias ? "qwen2" : "llama";
  config["hidden_size"] = kHidden;
  config["intermediate_size"] = options.intermediate;
  config["num_hidden_layers"] = 2;
  config["num_attention_heads"] = 4;
  config["num_key_value_heads"] = 2;
  config["vocab_size"] = kVocabulary;
  config["max_position_embeddings"] = 128;
  config["rms_norm_eps"] = 1e-5;
  config["rope_theta"] = 10000.0;
  config["hidden_act"] = "silu";
  config["tie_word_embeddings"] = options.tied;
  config["bos_token_id"] = 1;
  config["eos_token_id"] = 2;
  config["torch_dtype"] = options.dtype == DType::bf16  ? "bfloat16"
                          : options.dtype == DType::f16 ? "float16"
                                                        : "float32";
  return dump_json(config, 2);
}

}  // namespace

void write_tiny_model(const std::string& folder, const TinyOptions& options) {
  ASSERT_TRUE(sys::make_folders(folder).ok());
  const std::vector<io::PlannedTensor> plan = tensors_of(options);
  const auto source = [&](std::size_t index, const io::ByteSink& sink) {
    return sink(bytes_of(plan[index], index, options.outlier));
  };
  const auto written = io::write_safetensors(folder, plan, source);
  ASSERT_TRUE(written.ok()) << to_string(written.error());
  write_text(folder + "/config.json", config_text(options));
  write_text(folder + "/tokenizer.json", "{\"not\": \"read by these tests\"}");
  write_text(folder + "/LICENSE", "free\n");
}

namespace {

model::Checkpoint open_tiny(const std::string& folder, const TinyOptions& options) {
  write_tiny_model(folder, options);
  auto source = model::Checkpoint::open(folder);
  EXPECT_TRUE(source.ok()) << (source.ok() ? "" : to_string(source.error()));
  return std::move(source).value();
}

model::QuantizedModel rounded(const model::Checkpoint& source, const model::QuantizationInfo& info) {
  auto result = round_model(source, info);
  EXPECT_TRUE(result.ok()) << (result.ok() ? "" : to_string(result.error()));
  return std::move(result).value();
}

}  // namespace

TinyCase::TinyCase(const std::string& folder, const model::QuantizationInfo& info, const TinyOptions& options)
    : source(open_tiny(folder + "/source", options)), result(rounded(source, info)) {}

}  // namespace quernel::test
