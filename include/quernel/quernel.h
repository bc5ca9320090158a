// The front door of Quernel: everything the command line does, for C++ programs and bindings. Standard library types only.
//
// Errors   every function throws Failure; its kind is the exit code of the command line
// Threads  one call at a time for each object; stop() may be called from anywhere
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace quernel::api {

// Exit codes of the command line (docs/cli.md).
enum class FailureKind : int {
  run_time = 1,       // an input or output error, a job that cannot go on
  usage = 2,          // an option that does not exist or cannot be
  bad_model = 3,      // a missing, corrupt or unsupported model
  resources = 4,      // memory or disk would be, or was, exceeded
  verification = 5,   // what was written is not what was computed, or a quality gate failed
  incompatible = 6,   // the work directory belongs to another job
  interrupted = 130,  // stopped on request; state is saved
};

class Failure : public std::runtime_error {
 public:
  Failure(FailureKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  [[nodiscard]] FailureKind kind() const { return kind_; }

 private:
  FailureKind kind_;
};

struct Progress {
  std::string stage;  // "quantize", "eval ppl", ...
  std::string item;   // the module just finished; may be empty
  std::int64_t done = 0;
  std::int64_t total = 0;  // 0: unknown
  std::string detail;      // "4 bit g64  loss 1.2e-3"
  double item_seconds = 0.0;
  double remaining_seconds = -1;  // below 0: unknown
  std::uint64_t resident_bytes = 0;
};

// What long work tells while it runs. All members may be empty.
struct Observer {
  std::function<void(const Progress&)> on_progress;
  std::function<void(const std::string&)> on_note;     // a line the user should see
  std::function<void(const std::string&)> on_warning;  // a fall-back, a repaired input
};

// A result for machines and for people.
struct Report {
  std::string json;  // one object
  std::string text;  // a table for terminals
};

// Low bits simulated in floating point: what the inputs of the blocks' linears and the key/value cache are rounded to.
struct SimulatedBits {
  int activation_bits = 16;            // 16 (not simulated), 8, 4
  std::int64_t activation_group = -1;  // entries of a token that share a scale; -1: all
  bool activation_asymmetric = false;
  int kv_bits = 16;  // 16 (not simulated), 8, 4
};

struct QuantizeOptions {
  std::string source;  // Hugging Face folder or GGUF file
  std::string output;  // folder to write
  std::string method = "gptq";
  std::string preprocess;  // none, smoothquant, awq, quarot, smoothquant+quarot; empty: the method's own choice
  // Options of the method and of the preprocessing by name, as method_options() lists them: {"bits", "4"}, {"group-size", "64"}. Those not named keep
  // their defaults; without "group-size" it is the largest of 128, 64, 32 that divides every input width.
  std::map<std::string, std::string> method_options;
  std::vector<std::string> formats;         // empty: compressed-tensors, or what the method is written in
  std::vector<std::string> ignore;          // regular expressions on module names that stay dense
  std::vector<std::string> calibration;     // files; empty: the built-in corpus
  std::string calibration_field = "text";   // of JSONL records
  std::string calibration_mode = "random";  // random, first
  std::int64_t calibration_samples = 128;
  std::int64_t calibration_length = 512;
  std::uint64_t seed = 42;
  std::string precision = "bf16";  // of calibration's products: bf16 where the CPU is faster with it, else f32
  SimulatedBits simulated;         // while calibrating: the solver sees the inputs which the runtime will feed
  int threads = 0;                 // 0: all cores of this process
  std::uint64_t max_memory_bytes = 0;
  std::string work_dir;
  double save_seconds = 120;
  bool resume = false;
  bool overwrite = false;
  bool keep_work_dir = false;
  bool strict = false;
  bool require_sane = false;  // answers unlike the source's are a Failure of kind verification
  double max_kld = 0.0;       // above 0: so is a larger mean divergence on held-out calibration text
  std::string command;        // as typed, for the report
};

Report quantize(const QuantizeOptions& options, const Observer& observer = {});

// Bits of the integer runtime's activations and cache.
struct IntegerBits {
  int activation_bits = 0;               // 8, or 16: in two INT8 parts; 0: as the weights were made for
  int kv_bits = 8;                       // 16, 8, 4
  std::uint64_t kv_budget = 4ULL << 30;  // bytes
};

struct ModelOptions {
  std::string path;
  int threads = 0;
  std::string precision = "f32";  // f32, bf16; where a model is measured also int8: the integer runtime
  SimulatedBits simulated;        // f32, bf16: of the model itself; a reference beside it is never rounded
  IntegerBits integer;            // int8; a reference beside it is computed in f32
};

struct PerplexityOptions {
  ModelOptions model;
  std::string text_path;
  std::string convention =
      "gptq";                // gptq: rows joined by blank lines, whole windows; llama.cpp: raw text, second halves
  std::int64_t context = 0;  // 0: 2048 or 512, by convention
  std::int64_t windows = 0;  // 0: all
};

Report evaluate_perplexity(const PerplexityOptions& options, const Observer& observer = {});

struct KldOptions {
  ModelOptions model;
  std::string reference_path;
  std::string text_path;
  std::int64_t context = 512;
  std::int64_t windows = 0;     // 0: all
  std::int64_t first_byte = 0;  // the text begins here: a held-out part of a file
  bool use_cache = true;        // keep the reference's logits in the cache folder
  double max_kld = 0.0;         // above 0: a larger mean is a Failure of kind verification
};

Report evaluate_kld(const KldOptions& options, const Observer& observer = {});

struct TaskFile {
  std::string kind;  // piqa, arc, hellaswag, winogrande, lambada, choices
  std::string path;
};

struct TasksOptions {
  ModelOptions model;
  std::vector<TaskFile> tasks;
  std::int64_t limit = 0;  // the first items of each; 0: all
};

// Zero-shot accuracy. A task is reported by its kind; where a kind is given more than once, as "kind:name of the file".
Report evaluate_tasks(const TasksOptions& options, const Observer& observer = {});

// The integer runtime: packed weights, INT8 activations, a paged cache.
struct EngineOptions {
  std::string path;
  int threads = 0;          // 0: all cores of this process
  int activation_bits = 0;  // 8, or 16: inputs of all linears in two INT8 parts; 0: as the weights were made for
  int kv_bits = 8;          // 16, 8, 4
  std::uint64_t kv_budget = 4ULL << 30;  // bytes
  int decode_threads = 0;                // at most, where few tokens are computed at once; 0: as `threads`
  bool packed_cache = true;  // packed weights are kept beside the model where packing took long, and read from there
};

struct BenchOptions {
  EngineOptions engine;
  std::vector<std::int64_t> prompts{512};  // tokens of prompts to read; empty: none
  std::vector<std::int64_t> generates{128};
  std::vector<std::int64_t> depths{0};   // tokens in the cache before
  std::vector<std::int64_t> batches{1};  // sequences at once
  int repeats = 5;
  bool profile = false;  // where the time of each case goes
  bool csv = false;      // the report's text: a line a test for spreadsheets, in place of the table
};

// Speed in tokens a second, and as shares of what the machine can read and multiply at most, measured in the same run.
Report bench(const BenchOptions& options, const Observer& observer = {});

struct CompareOptions {
  QuantizeOptions base;  // output: the folder of the comparison
  // What is crossed: "method", or an option of a method by name, with its values. The last axis varies fastest.
  std::vector<std::pair<std::string, std::vector<std::string>>> axes;
  std::string text_path;  // judged on: held out from calibration
  std::int64_t first_byte = 0;
  std::int64_t context = 1024;
  std::int64_t windows = 12;
  bool keep_checkpoints = false;
};

// Quantizes and judges every combination; writes compare.json, compare.md and compare.csv after each, and goes on where an
// earlier run stopped. A combination that cannot be is a row that says why.
Report compare(const CompareOptions& options, const Observer& observer = {});

Report inspect(const std::string& path);
// Is OUT what its job computed, and is it this source's? `against` may be empty: then only OUT's own hashes are checked.
Report verify(const std::string& output, const std::string& against, const Observer& observer = {});
Report methods();
Report version();

struct MethodOption {
  std::string name;           // "group-size"
  std::string default_value;  // "128"
  std::string choices;        // "1 or more, -1"
  std::string help;
  std::vector<std::string> methods;  // that have it, and transforms of the preprocessing
};

std::vector<std::string> preprocess_choices();
// Every option that some method or transform has, once.
std::vector<MethodOption> method_options();

// The candidate nearest to a mistyped word, or an empty string where none is near.
std::string nearest_word(const std::vector<std::string>& candidates, const std::string& typed);

// Text to ids and back: tokenizer.json, a model folder, or a GGUF file.
class Tokenizer {
 public:
  static Tokenizer open(const std::string& path);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  [[nodiscard]] std::vector<std::int32_t> encode(std::string_view text, bool add_special) const;
  [[nodiscard]] std::string decode(std::span<const std::int32_t> ids, bool skip_special) const;

 private:
  struct State;
  explicit Tokenizer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// A turn of a conversation in the form in which the model was trained to read it: ChatML where its vocabulary has <|im_start|>, else plain
// lines.
struct ChatForm {
  std::string begin;  // before a user's words
  std::string end;    // behind them, before the answer
  std::string next;   // behind an answer
};

struct GenerateOptions {
  std::int64_t max_tokens = 128;
  double temperature = 0.0;  // 0: greedy
  std::int64_t top_k = 0;
  double top_p = 1.0;
  double min_p = 0.0;
  double repetition_penalty = 1.0;
  double presence_penalty = 0.0;   // taken from the logit of a token that was seen,
  double frequency_penalty = 0.0;  // and each time it was
  double dry_multiplier = 0.0;     // DRY: what would repeat a longer stretch becomes less likely; 0: off
  double dry_base = 1.75;
  std::int64_t dry_allowed_length = 2;
  std::vector<std::pair<std::int32_t, double>> logit_bias;  // id, what is added; minus infinity: never
  std::vector<std::string> stop;                            // the text ends before any of these
  std::uint64_t seed = 0;
  // Tokens that are guessed from the text so far and verified in one pass; the answer stays the same. Integer runtime only.
  std::int64_t speculate = 0;
  // Where context or cache are full, the oldest page of 32 tokens behind the first keep_tokens is forgotten instead of a refusal at the start. Integer
  // runtime only, models without sliding windows.
  bool context_shift = false;
  std::int64_t keep_tokens = 32;
};

// A model ready to continue text, in the integer runtime or in the float one. The integer runtime keeps its cache from call to call: a
// prompt that begins as the last one went on (a chat) is not read again.
class Generator {
 public:
  static Generator open(const EngineOptions& options, const Observer& observer = {});
  static Generator open(const ModelOptions& options);
  ~Generator();
  Generator(Generator&&) noexcept;
  // Calls on_text with each piece as soon as it is known (whole UTF-8 sequences); false ends it. Returns figures.
  [[nodiscard]] ChatForm chat_form() const;
  Report complete(std::string_view prompt, const GenerateOptions& options,
                  const std::function<bool(std::string_view piece)>& on_text);

 private:
  struct State;
  explicit Generator(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The folder for caches: $QUERNEL_CACHE, else $XDG_CACHE_HOME/quernel, else ~/.cache/quernel.
std::string cache_folder();

// Refuses a QUERNEL_ISA that this CPU cannot do, and a missing BLAS library; call before anything else.
void check_environment();

// Long work ends at its next safe point with FailureKind::interrupted.
void install_signal_handlers();
void stop();

}  // namespace quernel::api
