// Model folders and GGUF files of a few hundred bytes, made tensor by tensor, right or wrong on purpose.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "io/gguf_bytes.h"
#include "io/safetensors_writer.h"
#include "model/config_json.h"
#include "model/modules.h"
#include "support/temp_folder.h"

namespace quernel::model {

struct TinyTensor {
  DType dtype = DType::f32;
  Shape shape;
  std::string bytes;
};
using TinyTensors = std::map<std::string, TinyTensor>;

inline std::int64_t count_of(const Shape& shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) count *= size;
  return count;
}

template <class T>
TinyTensor tiny_tensor(DType dtype, Shape shape, const std::vector<T>& values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return {dtype, std::move(shape), std::move(bytes)};
}

// Different numbers for every name, all of them exact in half precision.
inline std::vector<float> tiny_values(const std::string& name, std::int64_t count) {
  std::uint32_t state = 1;
  for (const char letter : name) state = state * 31 + static_cast<unsigned char>(letter);
  std::vector<float> values;
  for (std::int64_t i = 0; i < count; ++i) {
    state = state * 1664525U + 1013904223U;
    values.push_back((static_cast<float>(state >> 24) - 128.0F) / 64.0F);
  }
  return values;
}

inline TinyTensor tiny_floats(const std::string& name, const Shape& shape) {
  return tiny_tensor(DType::f32, shape, tiny_values(name, count_of(shape)));
}

inline Json tiny_config(const std::string& architecture = "LlamaForCausalLM", const std::string& type = "llama") {
  Json json;
  json["architectures"] = {architecture};
  json["model_type"] = type;
  json["hidden_size"] = 32;
  json["intermediate_size"] = 64;
  json["num_hidden_layers"] = 2;
  json["num_attention_heads"] = 4;
  json["num_key_value_heads"] = 2;
  json["head_dim"] = 8;
  json["vocab_size"] = 32;
  json["max_position_embeddings"] = 128;
  return json;
}

inline ModelConfig config_of(const Json& json) {
  Result<ModelConfig> config = config_from_json(json, "config.json");
  EXPECT_TRUE(config.ok()) << (config.ok() ? "" : to_string(config.error()));
  return config.ok() ? std::move(*config) : ModelConfig{};
}

// Every tensor that the configuration asks for.
inline TinyTensors tiny_weights(const Json& json) {
  TinyTensors tensors;
  for (const ExpectedTensor& tensor : expected_tensors(config_of(json)))
    tensors[tensor.name] = tiny_floats(tensor.name, tensor.shape);
  return tensors;
}

inline void write_folder(const std::string& folder, const Json& config, const TinyTensors& tensors,
                         const io::SafetensorsWriteOptions& options = {}) {
  test::write_text(folder + "/config.json", dump_json(config, 1));
  std::vector<io::PlannedTensor> plan;
  std::vector<const std::string*> bytes;
  for (const auto& [name, tensor] : tensors) {
    plan.push_back({name, tensor.dtype, tensor.shape});
    bytes.push_back(&tensor.bytes);
  }
  const auto source = [&bytes](std::size_t index, const io::ByteSink& sink) {
    return sink(std::as_bytes(std::span(*bytes[index])));
  };
  const auto written = io::write_safetensors(folder, plan, source, options);
  ASSERT_TRUE(written.ok()) << to_string(written.error());
}

// A GGUF file of F32 tensors; `tensors` have GGUF names, shapes outermost first.
inline void write_gguf(const std::string& path, const std::vector<std::string>& pairs, const TinyTensors& tensors) {
  test::GgufBuilder gguf;
  gguf.pairs = pairs;
  for (const auto& [name, tensor] : tensors) {
    std::vector<std::uint64_t> dims;
    for (auto size = tensor.shape.rbegin(); size != tensor.shape.rend(); ++size)
      dims.push_back(static_cast<std::uint64_t>(*size));
    gguf.tensors.push_back(test::tensor_bytes(name, dims, 0, gguf.data.size()));
    gguf.data += tensor.bytes;
    while (gguf.data.size() % gguf.alignment != 0) gguf.data += '\0';
  }
  test::write_text(path, gguf.build());
}

inline std::string gguf_u32(const std::string& key, std::uint32_t value) {
  return test::pair_bytes(key, test::kU32, test::number_bytes(value));
}
inline std::string gguf_f32(const std::string& key, float value) {
  return test::pair_bytes(key, test::kF32, test::number_bytes(value));
}
inline std::string gguf_text(const std::string& key, const std::string& value) {
  return test::pair_bytes(key, test::kString, test::string_bytes(value));
}

// The metadata of tiny_config() as a GGUF file of architecture `name` has it.
inline std::vector<std::string> tiny_gguf_pairs(const std::string& name) {
  return {gguf_text("general.architecture", name),        gguf_u32(name + ".block_count", 2),
          gguf_u32(name + ".context_length", 128),        gguf_u32(name + ".embedding_length", 32),
          gguf_u32(name + ".feed_forward_length", 64),    gguf_u32(name + ".attention.head_count", 4),
          gguf_u32(name + ".attention.head_count_kv", 2), gguf_u32(name + ".attention.key_length", 8),
          gguf_u32(name + ".attention.value_length", 8),  gguf_f32(name + ".attention.layer_norm_rms_epsilon", 1e-5F),
          gguf_f32(name + ".rope.freq_base", 10000.0F)};
}

}  // namespace quernel::model
