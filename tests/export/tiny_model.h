// A two-layer Llama written as a Hugging Face folder: input of the export tests.
#pragma once

#include <string>

#include "export/hf_checkpoint.h"
#include "export/round_model.h"
#include "model/checkpoint.h"
#include "model/quantized_model.h"

namespace quernel::test {

struct TinyOptions {
  DType dtype = DType::f32;
  bool tied = true;
  bool attention_bias = false;     // Qwen2
  std::int64_t intermediate = 96;  // input width of down_proj
  float outlier = 0.0F;            // the first weight of each row of down_proj, where it is not 0
};

// hidden 64, 4 heads and 2 of keys, vocabulary 64; weights from a fixed formula, about normal with deviation 0.05.
void write_tiny_model(const std::string& folder, const TinyOptions& options = {});

// Source, result and a folder to write to; the source is opened from `folder`/source.
struct TinyCase {
  TinyCase(const std::string& folder, const model::QuantizationInfo& info, const TinyOptions& options = {});

  [[nodiscard]] exporting::ExportInput input() const { return exporting::input_of(source, result); }

  model::Checkpoint source;
  model::QuantizedModel result;
};

}  // namespace quernel::test
