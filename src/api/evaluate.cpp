#include <fmt/format.h>

#include <optional>

#include "api/failure.h"
#include "api/loaded_model.h"
#include "api/observer_sink.h"
#include "eval/kld.h"
#include "eval/perplexity.h"
#include "eval/report.h"
#include "model/tokenizer_source.h"
#include "quernel/quernel.h"
#include "sys/atomic_file.h"
#include "sys/mapped_file.h"

namespace quernel::api {

namespace {

std::string read_text(const std::string& path) {
  return std::string(take(sys::MappedFile::open(path, sys::Access::sequential)).text());
}

// BOS replaces the first token of a window where the vocabulary says that the model wants one.
std::optional<std::int32_t> window_bos(const text::Tokenizer& tokenizer) {
  return tokenizer.vocabulary().add_bos ? tokenizer.vocabulary().bos : std::nullopt;
}

// What the reference's logits depend on: its files by content, and how it is computed.
std::string reference_identity(const std::string& path, runtime::Precision precision) {
  return runtime::to_string(runtime::effective(precision)) + source_identity(path);
}

// The part of a text from a byte on; a sequence that is cut is skipped.
std::string tail_of(std::string text, std::int64_t first_byte) {
  if (first_byte <= 0) return text;
  if (static_cast<std::size_t>(first_byte) >= text.size())
    raise(Error(Fault::invalid_argument, "the text is shorter than that")
              .in_field("--from-byte")
              .expect(fmt::format("below {}", text.size()), std::to_string(first_byte)));
  auto begin = static_cast<std::size_t>(first_byte);
  constexpr unsigned kContinuationMask = 0xC0;
  constexpr unsigned kContinuation = 0x80;
  while (begin < text.size() && (static_cast<unsigned char>(text[begin]) & kContinuationMask) == kContinuation) ++begin;
  return text.substr(begin);
}

// What was simulated, in both forms of a report.
Report finish(Json json, std::string text, const runtime::SimulatedBits& simulated) {
  json["simulated"] = {{"activation_bits", simulated.activation_bits},
                       {"activation_group", simulated.activation_group},
                       {"activation_asymmetric", simulated.activation_asymmetric},
                       {"kv_bits", simulated.kv_bits}};
  if (simulated.any()) text += fmt::format("{:<22} {}\n", "simulated", runtime::to_string(simulated));
  return {dump_json(json), text};
}

}  // namespace

Report evaluate_perplexity(const PerplexityOptions& options, const Observer& observer) {
  ObserverSink sink(observer);
  eval::PerplexityOptions how;
  how.convention = take(eval::parse_convention(options.convention));
  how.context = options.context;
  how.max_windows = options.windows;
  const std::string text = read_text(options.text_path);
  const auto pool = make_pool(options.model.threads);
  const runtime::SimulatedBits simulated = to_runtime(options.model.simulated);
  const LoadedModel loaded =
      take(load_model(options.model.path, *pool, take(parse_precision(options.model.precision)), simulated));
  const text::Tokenizer tokenizer = take(model::load_tokenizer(*loaded.checkpoint));
  if (how.convention == eval::Convention::llama_cpp) how.bos = window_bos(tokenizer);
  const std::vector<std::int32_t> tokens = eval::tokenize(how.convention, tokenizer, text);
  const eval::PerplexityResult result = take(eval::measure_perplexity(*loaded.model, tokens, how, *pool, sink));
  return finish(eval::to_json(result), eval::to_table(result), simulated);
}

Report evaluate_kld(const KldOptions& options, const Observer& observer) {
  ObserverSink sink(observer);
  const runtime::Precision precision = take(parse_precision(options.model.precision));
  const std::string text = tail_of(read_text(options.text_path), options.first_byte);
  const auto pool = make_pool(options.model.threads);
  const runtime::SimulatedBits simulated = to_runtime(options.model.simulated);
  const LoadedModel loaded = take(load_model(options.model.path, *pool, precision, simulated));
  const text::Tokenizer tokenizer = take(model::load_tokenizer(*loaded.checkpoint));
  eval::KldOptions how;
  how.context = options.context;
  how.max_windows = options.windows;
  how.bos = window_bos(tokenizer);
  if (options.use_cache) {
    how.cache_folder = cache_folder() + "/logits";
    take(sys::make_folders(how.cache_folder));
    how.reference_identity = reference_identity(options.reference_path, precision);
  }
  LoadedModel reference;
  const auto load_reference = [&]() -> Result<const runtime::FloatModel*> {
    QUERNEL_TRY(reference, load_model(options.reference_path, *pool, precision));
    return static_cast<const runtime::FloatModel*>(reference.model.get());
  };
  const std::vector<std::int32_t> tokens = eval::tokenize(eval::Convention::llama_cpp, tokenizer, text);
  const eval::KldResult result = take(eval::measure_kld(*loaded.model, load_reference, tokens, how, *pool, sink));
  if (options.max_kld > 0 && result.mean > options.max_kld)
    raise(Error(Fault::verification_failed, "the mean divergence is above the gate")
              .in_field("--max-kld")
              .expect(fmt::format("at most {}", options.max_kld), fmt::format("{:.6f}", result.mean)));
  return finish(eval::to_json(result), eval::to_table(result), simulated);
}

}  // namespace quernel::api
