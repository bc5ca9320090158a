// A file of packed weights (engine/packed_file). Never crashes; what is accepted can be multiplied, written and read again.
//
// Input    the file
#include <unistd.h>

#include <fstream>
#include <string>

#include "engine/packed_file.h"
#include "engine/packed_samples.h"
#include "fuzz.h"

using namespace quernel;
using quernel::fuzz::expect;

namespace {

void multiply(const engine::PackedLinear& linear) {
  engine::RowCodes x = std::move(engine::RowCodes::make(1, linear.cols())).value();
  x.begin(1, linear.cols(), false, 16);
  x.put(0, std::vector<float>(static_cast<std::size_t>(linear.cols()), 0.5F).data());
  std::vector<float> out(static_cast<std::size_t>(linear.rows())), parts(128);
  const engine::Product product{&linear, &x, out.data(), linear.rows()};
  engine::run_products({&product, 1}, 0, engine::num_panels({&product, 1}), {nullptr, parts.data()});
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static sys::ThreadPool pool(1);
  static const std::string path = "/tmp/quernel_fuzz_packed_" + std::to_string(::getpid());
  static const std::string again = path + "_again";
  const Json identity = {{"name", "sample"}};
  std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  const auto weights =
      engine::read_packed(path, identity, test::sample_frame(), {test::kSampleHead, test::kSampleCols}, pool);
  if (weights.ok()) {
    multiply(weights->head);
    for (const engine::PackedLinear& linear : weights->layers[0].linears) multiply(linear);
    expect(engine::write_packed(again, identity, *weights).ok(), "what was read can be written");
    expect(
        engine::read_packed(again, identity, test::sample_frame(), {test::kSampleHead, test::kSampleCols}, pool).ok(),
        "what was written can be read");
  } else {
    expect(!to_string(weights.error()).empty(), "an error can be told");
  }
  ::unlink(path.c_str());
  ::unlink(again.c_str());
  return 0;
}
