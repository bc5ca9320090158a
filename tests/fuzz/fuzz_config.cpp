// config.json with its quantization_config: never crashes; what is accepted keeps the bounds that later code relies on.
#include "fuzz.h"
#include "model/config_json.h"
#include "model/modules.h"
#include "model/quantization_config.h"

using quernel::fuzz::expect;

namespace {

void expect_bounds(const quernel::model::ModelConfig& config) {
  using namespace quernel::model;
  expect(config.hidden_size >= 1 && config.hidden_size <= kMaxWidth, "hidden_size within bounds");
  expect(config.num_kv_heads >= 1 && config.num_heads % config.num_kv_heads == 0, "heads divide");
  expect(config.head_dim >= 2 && config.head_dim % 2 == 0 && config.q_size() <= kMaxWidth, "head_dim within bounds");
  expect(config.rope.rotary_dim >= 2 && config.rope.rotary_dim <= config.head_dim, "rotary_dim within a head");
  expect(static_cast<std::int64_t>(config.layers.size()) == config.num_layers, "one entry a layer");
  for (const LayerConfig& layer : config.layers)
    expect(!layer.sliding_window || *layer.sliding_window >= 1, "windows are positive");
  for (const std::int64_t id : config.eos_token_ids) expect(id >= 0 && id < config.vocab_size, "stop ids are tokens");
  for (const ExpectedTensor& tensor : expected_tensors(config)) {
    expect(!tensor.name.empty(), "tensors have names");
    for (const std::int64_t size : tensor.shape) expect(size >= 1, "tensors have shapes");
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto json = quernel::parse_json(quernel::fuzz::as_text(data, size), "f");
  if (!json.ok()) return 0;
  const auto config = quernel::model::config_from_json(*json, "f");
  if (config.ok()) {
    // A thousand layers take long and show nothing that four do not.
    if (config->num_layers <= 4) expect_bounds(*config);
  } else {
    expect(!quernel::to_string(config.error()).empty(), "an error can be told");
  }
  if (!json->is_object() || !json->contains("quantization_config")) return 0;
  const auto quantization = quernel::model::read_quantization_config((*json)["quantization_config"]);
  if (quantization.ok()) expect(!quantization->schemes.empty(), "there is a scheme");
  return 0;
}
