// quernel_engine_tool CHECKPOINT TEXT_IDS [--kv-bits N] [--act-bits N] [--threads N] [--context N]: the integer runtime beside the simulated one on the
// ids of a file (one a line): divergence, share of equal best tokens, and tokens a second of both. For development.
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "engine/int_model.h"
#include "runtime/float_model.h"

namespace {

using namespace quernel;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

template <class T>
T must(Result<T> result) {
  if (!result.ok()) {
    fmt::print(stderr, "{}\n", to_string(result.error()));
    std::exit(1);
  }
  return std::move(result).value();
}
void must(const Status& status) {
  if (status.ok()) return;
  fmt::print(stderr, "{}\n", to_string(status.error()));
  std::exit(1);
}

double log_sum(std::span<const float> row) {
  double most = row[0];
  for (const float v : row) most = std::max<double>(most, v);
  double sum = 0;
  for (const float v : row) sum += std::exp(v - most);
  return most + std::log(sum);
}

void compare(ConstMatrixView p, ConstMatrixView q) {
  double total = 0;
  double worst = 0;
  std::int64_t same = 0;
  for (std::int64_t r = 0; r < p.rows; ++r) {
    const double lp = log_sum(p.row(r));
    const double lq = log_sum(q.row(r));
    double kld = 0;
    std::size_t best_p = 0;
    std::size_t best_q = 0;
    for (std::size_t i = 0; i < p.row(r).size(); ++i) {
      const double a = p.row(r)[i] - lp;
      const double b = q.row(r)[i] - lq;
      kld += std::exp(a) * (a - b);
      if (p.row(r)[i] > p.row(r)[best_p]) best_p = i;
      if (q.row(r)[i] > q.row(r)[best_q]) best_q = i;
    }
    total += kld;
    worst = std::max(worst, kld);
    same += best_p == best_q ? 1 : 0;
  }
  fmt::print("divergence {:.3e} (worst {:.2e}), same best {:.2f} %\n", total / static_cast<double>(p.rows), worst,
             100.0 * static_cast<double>(same) / static_cast<double>(p.rows));
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const auto option = [&](const char* name, int fallback) {
    for (std::size_t i = 0; i + 1 < words.size(); ++i)
      if (words[i] == name) return std::stoi(words[i + 1]);
    return fallback;
  };
  sys::ThreadPool pool(option("--threads", 2));
  const model::Checkpoint checkpoint = must(model::Checkpoint::open(words.at(0)));
  std::vector<std::int32_t> tokens;
  std::ifstream file(words.at(1));
  for (std::int32_t id = 0; file >> id;)
    tokens.push_back(id % static_cast<std::int32_t>(checkpoint.config().vocab_size));
  tokens.resize(std::min<std::size_t>(tokens.size(), static_cast<std::size_t>(option("--context", 512))));
  const auto count = static_cast<std::int64_t>(tokens.size());
  engine::EngineOptions options;
  options.kv_bits = option("--kv-bits", 8);
  options.activation_bits = option("--act-bits", 8);
  auto start = std::chrono::steady_clock::now();
  engine::IntModel model = must(engine::IntModel::load(checkpoint, pool, options));
  fmt::print("loaded in {:.2f} s, {:.1f} MB of weights\n", seconds_since(start),
             static_cast<double>(model.weight_bytes()) / 1e6);
  Matrix hidden(count, checkpoint.config().hidden_size);
  engine::PagedCache cache = model.make_cache();
  const engine::Span whole{&cache, count};
  for (int repeat = 0; repeat < 3; ++repeat) {
    cache = model.make_cache();
    start = std::chrono::steady_clock::now();
    must(model.forward(tokens, {&whole, 1}, hidden));
    fmt::print("prefill {:.1f} tokens/s\n", static_cast<double>(count) / seconds_since(start));
  }
  Matrix logits(count, checkpoint.config().vocab_size);
  start = std::chrono::steady_clock::now();
  model.logits(hidden, logits);
  fmt::print("logits {:.1f} rows/s\n", static_cast<double>(count) / seconds_since(start));
  // The same tokens one by one must give the same bits.
  engine::PagedCache slow = model.make_cache();
  Matrix one(1, checkpoint.config().hidden_size);
  Matrix one_logits(1, checkpoint.config().vocab_size);
  std::int64_t different = 0;
  start = std::chrono::steady_clock::now();
  for (std::int64_t t = 0; t < count; ++t) {
    const engine::Span span{&slow, 1};
    must(model.forward(std::span(tokens).subspan(static_cast<std::size_t>(t), 1), {&span, 1}, one));
    model.logits(one, one_logits);
    if (!std::equal(one.data(), one.data() + one.size(), hidden.row(t).data())) ++different;
  }
  fmt::print("decode {:.1f} tokens/s, {} of {} differ from prefill\n",
             static_cast<double>(count) / seconds_since(start), different, count);
  if (option("--float", 1) == 0) return 0;
  runtime::SimulatedBits bits;
  bits.activation_bits = options.activation_bits;
  bits.kv_bits = options.kv_bits;
  const runtime::FloatModel reference =
      must(runtime::FloatModel::load(checkpoint, pool, runtime::Precision::f32, bits));
  Matrix float_logits(count, checkpoint.config().vocab_size);
  runtime::SequenceBatch batch{{0, count, 0, nullptr}};
  must(reference.forward(tokens, batch, hidden));
  reference.logits(hidden, float_logits);
  fmt::print("against the simulation:      ");
  compare(float_logits, logits);
  // What the order of float sums alone does to the simulation: prefill against one token at a time.
  runtime::KvCache float_cache = reference.make_cache(count);
  for (std::int64_t t = 0; t < count; ++t) {
    runtime::SequenceBatch single{{0, 1, t, &float_cache}};
    must(reference.forward(std::span(tokens).subspan(static_cast<std::size_t>(t), 1), single,
                           hidden.view().row_block(t, 1)));
  }
  Matrix other_logits(count, checkpoint.config().vocab_size);
  reference.logits(hidden, other_logits);
  fmt::print("simulation against itself:   ");
  compare(float_logits, other_logits);
}
