// The contract of a quantization method and the registry of all of them.
//
// A method is one file with one function and one row in registry.cpp; the command line, the report and the bindings
// read the row. Methods are pure: (weight, statistics, spec) -> quantized weight. They know no model, no file and no
// layer.
//
// Exact    the outcome depends on the input alone, not on the number of threads of the pool
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "codec/integer_matrix.h"
#include "quant/layer_stats.h"
#include "quant/spec.h"
#include "sys/thread_pool.h"
#include "tensor/matrix.h"

namespace quernel::quant {

struct PreparedHessian;  // prepared_hessian.h

struct MethodInput {
  ConstMatrixView weight;             // [rows, cols] float, finite
  const LayerStats* stats = nullptr;  // null where the method needs none and none was collected
  GridSpec grid;
  SolverSpec solver;
  std::int64_t score_rows = 0;      // leading rows that make queries and keys: AWQ does not clip them
  sys::ThreadPool* pool = nullptr;  // null: the calling thread
  // Made from `stats`, `grid` and `solver` by prepare_hessian(), once for all linears that share the input; null: the
  // method makes its own where it needs one.
  const PreparedHessian* prepared = nullptr;
};

struct MethodOutcome {
  codec::IntegerMatrix matrix;
  double relative_loss = 0.0;           // tr(E H E^T) / tr(W H W^T); ||E||^2 / ||W||^2 where there are no statistics
  double relative_error = 0.0;          // ||E||_F / ||W||_F
  double damp = 0.0;                    // the damping that was used in the end; 0 where there is none
  std::int64_t dead_columns = 0;        // inputs that calibration never saw active
  std::optional<std::string> fallback;  // reason, where the method gave up and plain RTN took its place
};

using MethodFunction = Result<MethodOutcome> (*)(const MethodInput& input);

struct MethodOption {
  std::string name;  // kebab-case, as on the command line: "damp"
  std::string default_value;
  std::string choices;  // "0..1", "natural|act-order|group-aware"
  std::string help;
};

struct Method {
  std::string name;     // "gptq"
  std::string summary;  // one sentence
  std::string source;   // paper or project
  bool needs_statistics = false;
  std::vector<int> bits;
  std::vector<std::string> formats;         // export formats that can hold its result
  std::vector<std::string> combines_with;   // transforms it may be combined with
  std::string default_preprocess = "none";  // where the user asks for none by name
  std::vector<MethodOption> options;
  MethodFunction run = nullptr;
};

std::span<const Method> methods();
// Errors: unsupported, listing the names there are and the nearest one.
Result<const Method*> find_method(const std::string& name);

// Sets an option of a method's row by its name: how the command line and recipes fill the specification.
// Errors: invalid_argument, naming the option and what it takes.
Status set_option(const std::string& name, const std::string& value, GridSpec& grid, SolverSpec& solver);

}  // namespace quernel::quant
