// Logits of a model for given tokens, for comparison with other implementations (tests/peers/compare_logits.py).
//
//   logits_tool MODEL OUT MODE [THREADS [f32|bf16]]     token ids on standard input, separated by spaces
//
// MODE is whole, chunk:N (passes of N tokens over a KV cache) or decode (one token a pass). OUT receives float32
// [tokens, vocab].
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "model/checkpoint.h"
#include "runtime/float_model.h"

namespace quernel::runtime {
namespace {

struct Request {
  std::string model;
  std::string out;
  std::int64_t chunk = 0;  // 0: one pass without a cache
  int threads = 1;
  Precision precision = Precision::f32;
};

Result<Request> parse(const std::vector<std::string>& arguments) {
  if (arguments.size() < 3)
    return Error(Fault::usage, "logits_tool MODEL OUT whole|chunk:N|decode [THREADS [f32|bf16]]");
  Request request{.model = arguments[0], .out = arguments[1]};
  const std::string& mode = arguments[2];
  if (mode == "decode") request.chunk = 1;
  if (mode.starts_with("chunk:")) {
    std::from_chars(mode.data() + std::string_view("chunk:").size(), mode.data() + mode.size(), request.chunk);
    if (request.chunk < 1) return Error(Fault::usage, "chunk:N needs N >= 1");
  }
  if (arguments.size() > 3) request.threads = std::max(1, std::atoi(arguments[3].c_str()));
  if (arguments.size() > 4 && arguments[4] == "bf16") request.precision = Precision::bf16;
  return request;
}

Status run(const Request& request) {
  std::vector<std::int32_t> tokens;
  for (std::int32_t token = 0; std::cin >> token;) tokens.push_back(token);
  const auto size = static_cast<std::int64_t>(tokens.size());
  sys::ThreadPool pool(request.threads);
  QUERNEL_TRY(const model::Checkpoint checkpoint, model::Checkpoint::open(request.model));
  QUERNEL_TRY(const FloatModel model, FloatModel::load(checkpoint, pool, request.precision));
  Matrix hidden(size, model.config().hidden_size);
  if (request.chunk == 0) {
    QUERNEL_TRY_STATUS(model.forward(tokens, {{.num_tokens = size}}, hidden));
  } else {
    KvCache cache = model.make_cache(size);
    for (std::int64_t first = 0; first < size; first += request.chunk) {
      const std::int64_t rows = std::min(request.chunk, size - first);
      const SequenceBatch batch{{.num_tokens = rows, .position = first, .cache = &cache}};
      const auto part = std::span(tokens).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(rows));
      QUERNEL_TRY_STATUS(model.forward(part, batch, hidden.view().row_block(first, rows)));
    }
  }
  Matrix logits(size, model.config().vocab_size);
  model.logits(hidden, logits);
  std::ofstream out(request.out, std::ios::binary);
  out.write(reinterpret_cast<const char*>(logits.data()), static_cast<std::streamsize>(logits.size() * sizeof(float)));
  if (!out.good()) return Error(Fault::io_error, "cannot write the logits").in_file(request.out);
  return ok_status();
}

}  // namespace
}  // namespace quernel::runtime

int main(int argc, char** argv) {
  using namespace quernel::runtime;
  auto request = parse({argv + 1, argv + argc});
  const quernel::Status status = request.ok() ? run(*request) : quernel::Status(request.error());
  if (status.ok()) return 0;
  fmt::print(stderr, "{}\n", to_string(status.error()));
  return 1;
}
