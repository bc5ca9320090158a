// How fast the float runtime is on a model, beside the limits of the machine in the same run.
//
//   quernel_runtime_speed MODEL [THREADS [f32|bf16 [PROMPT [GENERATED]]]]
//
// Prints JSON: prefill and decode in tokens a second, the products of the same shapes alone and the bytes read a second alone,
// the shares of those limits, and peak memory. Best of three rounds each, taken in turns.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/checked.h"
#include "base/rng.h"
#include "kernels/gemm_bf16/products.h"
#include "model/checkpoint.h"
#include "runtime/float_model.h"
#include "sys/clock.h"
#include "sys/cpu.h"
#include "sys/memory.h"
#include "tensor/linalg.h"

namespace quernel::runtime {
namespace {

constexpr int kRounds = 3;

struct Request {
  std::string model;
  int threads = 1;
  Precision precision = Precision::f32;
  std::int64_t prompt = 512;
  std::int64_t generated = 64;
};

// Best seconds of each measurement.
struct Times {
  double prefill = 1e30, decode = 1e30, products = 1e30, reading = 1e30;
};

std::int64_t weight_bytes(const LinearWeight& weight) {
  return weight.rows * weight.cols * (weight.f32.data != nullptr ? 4 : 2);
}

// Every weight that one decoded token reads.
std::vector<const LinearWeight*> decode_weights(const FloatModel& model) {
  std::vector<const LinearWeight*> weights{&model.ends().head};
  for (std::int64_t layer = 0; layer < model.config().num_layers; ++layer) {
    for (const LinearWeight& weight : model.layer(layer).linears) weights.push_back(&weight);
  }
  return weights;
}

// The products of the blocks on `rows` rows, as one large library call each, split by rows over the threads.
double time_products(const FloatModel& model, std::int64_t rows, sys::ThreadPool& pool) {
  const std::vector<const LinearWeight*> weights = decode_weights(model);
  std::int64_t widest = 0;
  for (const LinearWeight* weight : weights)
    widest = std::max({widest, weight->cols, std::min(weight->rows, weight->cols * 8)});
  Matrix x(rows, widest);
  Matrix out(rows, widest);
  x.fill(0.5F);
  const sys::Stopwatch watch;
  for (std::size_t i = 1; i < weights.size(); ++i) {
    const LinearWeight& weight = *weights[i];
    if (weight.f32.data == nullptr) continue;  // bf16 storage: the figure covers what is left
    const ConstMatrixView input = x.view().block(0, rows, 0, weight.cols);
    const MatrixView product = out.view().block(0, rows, 0, weight.rows);
    if (model.precision() == Precision::bf16) {
      kernels::gemm_bf16::gemm_nt(input, weight.f32, product, false, pool);
    } else {
      gemm_nt(input, weight.f32, product, false, pool);
    }
  }
  return watch.seconds();
}

// Sums every weight's bytes, a megabyte a task.
double time_reading(const FloatModel& model, sys::ThreadPool& pool) {
  constexpr std::int64_t kTaskWords = (1 << 20) / 8;
  const std::vector<const LinearWeight*> weights = decode_weights(model);
  std::atomic<std::uint64_t> total{0};
  const sys::Stopwatch watch;
  for (const LinearWeight* weight : weights) {
    const auto* words = weight->f32.data != nullptr ? reinterpret_cast<const std::uint64_t*>(weight->f32.data)
                                                    : reinterpret_cast<const std::uint64_t*>(weight->bf16.data);
    const std::int64_t count = weight_bytes(*weight) / 8;
    pool.parallel_for(ceil_div(count, kTaskWords), [&](std::int64_t task) {
      std::array<std::uint64_t, 8> sums{};
      const std::int64_t end = std::min(count, (task + 1) * kTaskWords) / 8 * 8;
      for (std::int64_t i = task * kTaskWords; i < end; i += 8) {
        for (std::size_t lane = 0; lane < 8; ++lane) sums[lane] += words[i + static_cast<std::int64_t>(lane)];
      }
      for (const std::uint64_t sum : sums) total += sum;
    });
  }
  return watch.seconds();
}

Status measure(const FloatModel& model, const Request& request, sys::ThreadPool& pool, Times& best) {
  CounterRng rng(1, "speed");
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(request.prompt));
  for (std::int32_t& token : tokens) {
    token = static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(model.config().vocab_size)));
  }
  Matrix hidden(request.prompt, model.config().hidden_size);
  Matrix logits(1, model.config().vocab_size);
  KvCache cache = model.make_cache(request.prompt + request.generated);
  for (int round = 0; round < kRounds; ++round) {
    cache.reset();
    const sys::Stopwatch prefill;
    QUERNEL_TRY_STATUS(model.forward(tokens, {{.num_tokens = request.prompt, .cache = &cache}}, hidden));
    best.prefill = std::min(best.prefill, prefill.seconds());
    best.products = std::min(best.products, time_products(model, request.prompt, pool));
    const sys::Stopwatch decode;
    for (std::int64_t i = 0; i < request.generated; ++i) {
      const SequenceBatch batch{{.num_tokens = 1, .position = cache.length(), .cache = &cache}};
      const MatrixView row = hidden.view().row_block(0, 1);
      QUERNEL_TRY_STATUS(model.forward(std::span(tokens).first(1), batch, row));
      model.logits(row, logits);
    }
    best.decode = std::min(best.decode, decode.seconds() / static_cast<double>(request.generated));
    best.reading = std::min(best.reading, time_reading(model, pool));
  }
  return ok_status();
}

Status run(const Request& request) {
  sys::ThreadPool pool(request.threads);
  const sys::Stopwatch load_watch;
  QUERNEL_TRY(const model::Checkpoint checkpoint, model::Checkpoint::open(request.model));
  QUERNEL_TRY(const FloatModel model, FloatModel::load(checkpoint, pool, request.precision));
  const double load_seconds = load_watch.seconds();
  Times best;
  QUERNEL_TRY_STATUS(measure(model, request, pool, best));
  std::int64_t bytes = 0;
  std::int64_t block_weights = -model.ends().head.rows * model.ends().head.cols;
  for (const LinearWeight* weight : decode_weights(model)) {
    bytes += weight_bytes(*weight);
    block_weights += weight->rows * weight->cols;
  }
  const double prompt = static_cast<double>(request.prompt);
  const double gflop = 2e-9 * static_cast<double>(block_weights) * prompt;
  const double gigabytes = 1e-9 * static_cast<double>(bytes);
  fmt::print(
      "{{\"cpu\": \"{}\", \"blas\": \"{}\", \"threads\": {}, \"precision\": \"{}\", \"load_s\": {:.3f},\n"
      " \"prefill_tokens\": {}, \"prefill_tok_s\": {:.1f}, \"prefill_gflop_s\": {:.1f}, \"products_gflop_s\": {:.1f}, "
      "\"prefill_share\": {:.3f},\n"
      " \"decode_tok_s\": {:.2f}, \"decode_gb_s\": {:.2f}, \"read_gb_s\": {:.2f}, \"decode_share\": {:.3f}, "
      "\"peak_bytes\": {}}}\n",
      sys::cpu_description(), blas_description(), request.threads, to_string(model.precision()), load_seconds,
      request.prompt, prompt / best.prefill, gflop / best.prefill, gflop / best.products, best.products / best.prefill,
      1.0 / best.decode, gigabytes / best.decode, gigabytes / best.reading, best.reading / best.decode,
      sys::peak_resident_bytes());
  return ok_status();
}

}  // namespace
}  // namespace quernel::runtime

int main(int argc, char** argv) {
  using namespace quernel::runtime;
  if (argc < 2) {
    fmt::print(stderr, "quernel_runtime_speed MODEL [THREADS [f32|bf16 [PROMPT [GENERATED]]]]\n");
    return 2;
  }
  Request request{.model = argv[1]};
  if (argc > 2) request.threads = std::max(1, std::atoi(argv[2]));
  if (argc > 3 && std::string(argv[3]) == "bf16") request.precision = Precision::bf16;
  if (argc > 4) request.prompt = std::max(1, std::atoi(argv[4]));
  if (argc > 5) request.generated = std::max(1, std::atoi(argv[5]));
  const quernel::Status status = run(request);
  if (status.ok()) return 0;
  fmt::print(stderr, "{}\n", to_string(status.error()));
  return 1;
}
