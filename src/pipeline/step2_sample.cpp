#include "pipeline/step2_sample.h"

#include <fmt/format.h>

#include <algorithm>

#include "calib/text_source.h"
#include "model/tokenizer_source.h"

namespace quernel::pipeline {

Result<CalibrationSet> step2_sample(const QuantizeJob& job, const LoadedSource& source, sys::ProgressSink& progress) {
  const CalibrationChoice& choice = job.calibration;
  QUERNEL_TRY(const calib::CalibrationText text, calib::load_text(choice.sources, {.jsonl_field = choice.jsonl_field}));
  QUERNEL_TRY(const text::Tokenizer tokenizer, model::load_tokenizer(source.checkpoint));
  calib::SamplingOptions options;
  options.count = choice.samples;
  options.length = choice.length;
  options.seed = choice.seed;
  options.mode = choice.mode;
  constexpr std::int64_t kHeldOutTokens = 4096;
  constexpr std::int64_t kChoosingTokens = 16384;  // candidates may lie close together
  options.held_out =
      std::max<std::int64_t>(1, (job.measure_divergence ? kChoosingTokens : kHeldOutTokens) / choice.length);
  // The built-in corpus is what there is: a tokenizer that makes few tokens of it gets fewer samples, and is told so.
  options.allow_fewer = std::all_of(choice.sources.begin(), choice.sources.end(),
                                    [](const std::string& name) { return calib::is_builtin_name(name); });
  CalibrationSet set;
  QUERNEL_TRY(set.samples, calib::sample_text(tokenizer, text.text, options));
  if (set.samples.count() < choice.samples)
    progress.on_warning(fmt::format("the built-in corpus gives {} samples of {} tokens, {} were asked for",
                                    set.samples.count(), choice.length, choice.samples));
  set.description = {{"name", text.name},
                     {"text_sha256", text.sha256},
                     {"sha256", set.samples.sha256},
                     {"samples", set.samples.count()},
                     {"seqlen", set.samples.length},
                     {"tokens", set.samples.num_tokens()},
                     {"text_tokens", set.samples.text_tokens},
                     {"mode", calib::to_string(choice.mode)},
                     {"seed", choice.seed}};
  return set;
}

}  // namespace quernel::pipeline
