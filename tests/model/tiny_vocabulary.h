// Vocabularies of a few hundred tokens as GGUF metadata, and whole GGUF models around them.
#pragma once

#include <string>
#include <vector>

#include "model/tensor_names.h"
#include "model/tiny_models.h"

namespace quernel::model {

inline std::string gguf_strings(const std::string& key, const std::vector<std::string>& values) {
  std::string bytes;
  for (const std::string& value : values) bytes += test::string_bytes(value);
  return test::pair_bytes(key, test::kArray, test::array_bytes(test::kString, values.size(), bytes));
}

template <class T>
std::string gguf_numbers(const std::string& key, std::uint32_t kind, const std::vector<T>& values) {
  std::string bytes;
  for (const T value : values) bytes += test::number_bytes(value);
  return test::pair_bytes(key, test::kArray, test::array_bytes(kind, values.size(), bytes));
}

inline std::string utf8(std::uint32_t code) {
  if (code < 0x80) return {static_cast<char>(code)};
  return {static_cast<char>(0xC0U | code >> 6U), static_cast<char>(0x80U | (code & 0x3FU))};
}

// The printable alphabet of GPT-2: token `byte` stands for that byte.
inline std::vector<std::string> byte_tokens() {
  std::vector<std::string> tokens;
  std::uint32_t next = 256;
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    tokens.push_back(utf8(printable ? byte : next++));
  }
  return tokens;
}

// 256 bytes, an unused filler, "ab", " ab" and the control token <end>; GPT-2's rule.
inline std::vector<std::string> byte_level_pairs() {
  std::vector<std::string> tokens = byte_tokens();
  std::vector<std::int32_t> types(256, 1);
  tokens.insert(tokens.end(), {"[PAD256]", "ab", "\u0120ab", "<end>"});
  types.insert(types.end(), {5, 1, 1, 3});
  return {gguf_text("tokenizer.ggml.model", "gpt2"),
          gguf_text("tokenizer.ggml.pre", "gpt-2"),
          gguf_strings("tokenizer.ggml.tokens", tokens),
          gguf_numbers("tokenizer.ggml.token_type", test::kI32, types),
          gguf_strings("tokenizer.ggml.merges", {"a b", "\u0120 ab"}),
          gguf_u32("tokenizer.ggml.eos_token_id", 259),
          gguf_text("tokenizer.chat_template", "{{ messages }}")};
}

// A GGUF model of F32 tensors for a configuration whose family keeps values as they are.
inline void write_gguf_model(const std::string& path, const std::vector<std::string>& pairs, const Json& config) {
  TinyTensors tensors;
  for (const auto& [name, tensor] : tiny_weights(config)) tensors[gguf_name_of(config_of(config), name)] = tensor;
  write_gguf(path, pairs, tensors);
}

}  // namespace quernel::model
