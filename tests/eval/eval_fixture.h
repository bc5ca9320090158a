// Small models and texts for the tests of measures.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "eval/windows.h"
#include "runtime/model_fixture.h"
#include "sys/progress.h"

namespace quernel::eval {

inline test::TinyModel eval_model(std::uint64_t seed) {
  test::TinyModel tiny = test::tiny_llama();
  tiny.draw(seed);
  return tiny;
}

// The same model with slightly other weights.
inline test::TinyModel perturbed(const test::TinyModel& tiny, float relative) {
  test::TinyModel other = tiny;
  int sign = 1;
  for (auto& [name, tensor] : other.tensors) {
    for (float& value : tensor.values) value *= 1.0F + relative * static_cast<float>(sign = -sign);
  }
  return other;
}

// log softmax of the reference implementation's logits, in double. [context, vocab]
inline MatrixF64 plain_log_probabilities(const test::TinyModel& tiny, const std::vector<std::int32_t>& window) {
  MatrixF64 rows = test::reference_logits(tiny, window);
  for (std::int64_t r = 0; r < rows.rows(); ++r) {
    double sum = 0.0;
    for (std::int64_t c = 0; c < rows.cols(); ++c) sum += std::exp(rows(r, c));
    for (std::int64_t c = 0; c < rows.cols(); ++c) rows(r, c) -= std::log(sum);
  }
  return rows;
}

// Remembers warnings and ticks.
class RecordingSink : public sys::ProgressSink {
 public:
  void on_progress(const sys::ProgressEvent& event) override { events.push_back(event); }
  void on_note(const std::string& /*text*/) override {}
  void on_warning(const std::string& text) override { warnings.push_back(text); }
  std::vector<sys::ProgressEvent> events;
  std::vector<std::string> warnings;
};

}  // namespace quernel::eval
