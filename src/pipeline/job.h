// One quantization job as the user asked for it, and what became of it. Plain data: the front door fills the first, reports
// and bindings read the second.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "calib/corpus.h"
#include "calib/sampling.h"
#include "eval/sanity.h"
#include "quant/spec.h"
#include "runtime/precision.h"
#include "runtime/simulated.h"
#include "transform/spec.h"

namespace quernel::pipeline {

struct CalibrationChoice {
  std::vector<std::string> sources{std::string(calib::kDefaultCorpus)};  // files or built-in names
  std::string jsonl_field = "text";
  std::int64_t samples = 128;
  std::int64_t length = 512;  // tokens of a sample
  std::uint64_t seed = 42;
  calib::SampleMode mode = calib::SampleMode::random;
};

// As method, or as the only word of the transforms' chain: what measures best (pipeline/best_job.h).
inline constexpr const char* kAuto = "auto";

struct QuantizeJob {
  std::string source;  // folder or GGUF file
  std::string output;  // folder
  std::string method = "gptq";
  quant::GridSpec grid;
  bool auto_group_size = false;  // grid.group_size becomes the largest of 128, 64, 32 that divides every input width
  quant::SolverSpec solver;
  transform::TransformSpec transform;
  std::vector<std::string> formats{"compressed-tensors"};
  std::vector<std::string> ignore;  // regular expressions on module names: those stay dense
  CalibrationChoice calibration;
  runtime::Precision precision = runtime::Precision::bf16;  // of calibration; f32 where the CPU is no faster with bf16
  runtime::SimulatedBits simulated{};                       // low-bit activations and cache while calibrating
  int threads = 0;                                          // 0: all usable cores
  std::uint64_t max_memory_bytes = 0;                       // 0: no ceiling
  std::string work_dir;                                     // empty: <output>.job
  double save_seconds = 120;  // hidden states are saved at the first layer boundary after this long; 0: at every one
  bool resume = false;        // go on where an earlier run of the same job stopped
  bool overwrite = false;     // replace an output folder that is ours
  bool keep_work_dir = false;
  bool require_sane = false;        // answers unlike the source's are an error (eval/sanity.h)
  double max_kld = 0.0;             // above 0: a larger mean divergence on held-out calibration text is an error
  bool measure_divergence = false;  // on held-out calibration text, without a limit
  bool strict = false;              // a fall-back of the solver is an error
  std::string command;              // as typed, for the report
};

// One module, finished.
struct ModuleReport {
  std::string name;
  std::int64_t layer = 0;
  std::int64_t rows = 0, cols = 0;
  int bits = 0;
  std::int64_t group_size = 0;
  double relative_loss = 0.0;   // tr(E H E^T) / tr(W H W^T)
  double relative_error = 0.0;  // ||E|| / ||W||
  double cosine = 0.0;          // between the weight and its quantized form
  double damp = 0.0;
  std::int64_t dead_columns = 0;
  std::optional<std::string> fallback;
  double seconds = 0.0;
  bool resumed = false;  // taken from the work directory
};

struct VerifyReport {
  bool passed = false;
  std::int64_t modules_equal = 0;
  std::int64_t tensors_equal = 0;
  double logits_max_abs = 0.0;  // reloaded output against what the solver computed
  double logits_tolerance = 0.0;
};

struct JudgeReport {
  std::optional<eval::SanityVerdict> sanity;  // none where the prompts were not tried
  std::optional<double> kld;                  // mean, on held-out calibration text, where one was asked for
};

// One input site over all layers.
struct PreparedSite {
  std::string site;
  std::int64_t scaled = 0;   // layers that got factors
  double error_ratio = 1.0;  // mean over layers of the search's error with factors to that without
};

struct PrepareReport {
  std::string name;                     // "smoothquant+quarot"
  double logits_max_abs = 0.0;          // changed model against the source
  double logits_max_abs_rounded = 0.0;  // after its dense tensors were rounded to the source's type
  std::vector<PreparedSite> sites;      // of transforms that scale
  double seconds = 0.0;
  bool resumed = false;
};

struct JobReport {
  std::string output;
  std::vector<std::string> formats;
  std::vector<ModuleReport> modules;
  std::vector<std::string> warnings;
  Json calibration;  // name, hashes, counts
  std::int64_t parameters = 0;
  std::int64_t quantized_parameters = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  double decoder_bits_per_weight = 0.0;  // quantized modules: codes, scales, zero points
  double model_bits_per_weight = 0.0;    // all bytes out over all parameters, first format
  double seconds = 0.0;
  std::uint64_t peak_resident_bytes = 0;
  std::optional<PrepareReport> prepared;
  VerifyReport verify;
  JudgeReport judge;
  bool already_done = false;  // --resume met a finished output of the same job
};

}  // namespace quernel::pipeline
