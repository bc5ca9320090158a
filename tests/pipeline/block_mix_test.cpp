#include "pipeline/block_mix.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "export/round_model.h"
#include "export/verify.h"
#include "runtime/tiny_model.h"
#include "support/temp_folder.h"
#include "sys/progress.h"

namespace quernel::pipeline {
namespace {

test::TinyModel drawn_llama() {
  test::TinyModel tiny = test::tiny_llama();
  tiny.draw(5);
  return tiny;
}

// The same function with other factors between norms and linears, as AWQ and SmoothQuant leave it.
test::TinyModel rescaled(const test::TinyModel& tiny) {
  test::TinyModel out = tiny;
  for (std::int64_t layer = 0; layer < tiny.num_layers(); ++layer) {
    const std::string at = "model.layers." + std::to_string(layer) + ".";
    for (std::size_t col = 0; col < static_cast<std::size_t>(tiny.hidden); ++col) {
      const float factor = 1.0F + static_cast<float>(col % 5);
      out.tensors.at(at + "post_attention_layernorm.weight").values[col] /= factor;
      for (const char* module : {"gate_proj", "up_proj"}) {
        auto& weight = out.tensors.at(at + "mlp." + module + ".weight");
        for (std::size_t row = 0; row < static_cast<std::size_t>(weight.rows); ++row)
          weight.values[row * static_cast<std::size_t>(weight.cols) + col] *= factor;
      }
    }
  }
  return out;
}

// A source and two quantized checkpoints of it, the second by way of other factors.
struct Bench {
  explicit Bench(const std::string& format, const model::QuantizationInfo& info_in, test::TinyModel tiny)
      : info(info_in), format_name(format) {
    const test::TinyModel changed = rescaled(tiny);
    tiny.write(temp / "source");
    changed.write(temp / "changed");
    source.emplace(model::Checkpoint::open(temp / "source").value());
    const auto prepared = model::Checkpoint::open(temp / "changed").value();
    first.emplace(write(*source, temp / "first"));
    second.emplace(write(prepared, temp / "second"));
  }

  model::Checkpoint write(const model::Checkpoint& dense, const std::string& folder) {
    const model::QuantizedModel rounded = test::round_model(dense, info).value();
    export_input(exporting::input_of(dense, rounded), folder);
    return model::Checkpoint::open(folder).value();
  }
  void export_input(const exporting::ExportInput& input, const std::string& folder) {
    exporting::ExportOptions options;
    options.formats = {format_name};
    const auto written = exporting::export_checkpoints(input, folder, options, sys::null_progress());
    ASSERT_TRUE(written.ok()) << to_string(written.error());
  }
  BlockMix mix(std::vector<std::size_t> taken) { return {*source, {&*first, &*second}, std::move(taken), info}; }
  std::vector<std::string> modules() const {
    std::vector<std::string> names;
    for (std::int64_t layer = 0; layer < source->config().num_layers; ++layer)
      for (const auto& module : model::linear_modules(source->config(), layer)) names.push_back(module.name);
    return names;
  }

  test::TempFolder temp;
  model::QuantizationInfo info;
  std::string format_name;
  std::optional<model::Checkpoint> source, first, second;
};

std::string bytes_of(const model::Checkpoint& checkpoint, const std::string& tensor) {
  const auto view = checkpoint.view(tensor);
  if (!view.ok()) return {};
  return {reinterpret_cast<const char*>(view->bytes.data()), view->bytes.size()};
}

bool same_module(const model::Checkpoint& a, const model::Checkpoint& b, const std::string& name) {
  const auto x = a.read_quantized(name).value();
  const auto y = b.read_quantized(name).value();
  return x.codes == y.codes && x.scales == y.scales && x.zero_points == y.zero_points;
}

TEST(BlockMix, HoldsTheBlockOfThePartThatWasTaken) {
  for (const char* format : {"compressed-tensors", "gptq", "awq"}) {
    for (const bool symmetric : {false, true}) {
      SCOPED_TRACE(std::string(format) + (symmetric ? " symmetric" : " asymmetric"));
      Bench bench(format, test::tiny_info(4, 8, symmetric), drawn_llama());
      const std::vector<std::size_t> taken{1, 0, 1};
      const BlockMix mix = bench.mix(taken);
      const std::string out = bench.temp / "mix";
      bench.export_input(mix.input(bench.modules()), out);
      const auto written = model::Checkpoint::open(out).value();
      for (std::size_t layer = 0; layer < taken.size(); ++layer) {
        const auto& part = taken[layer] == 0 ? *bench.first : *bench.second;
        const auto& other = taken[layer] == 0 ? *bench.second : *bench.first;
        const std::string at = "model.layers." + std::to_string(layer) + ".";
        EXPECT_TRUE(same_module(written, part, at + "mlp.gate_proj"));
        EXPECT_FALSE(same_module(written, other, at + "mlp.gate_proj"));
        EXPECT_TRUE(same_module(written, part, at + "mlp.down_proj"));
        const std::string norm = at + "post_attention_layernorm.weight";
        EXPECT_EQ(bytes_of(written, norm), bytes_of(part, norm));
        EXPECT_NE(bytes_of(written, norm), bytes_of(other, norm));
      }
      const std::string table = "model.embed_tokens.weight";
      EXPECT_EQ(bytes_of(written, table), bytes_of(*bench.source, table));
    }
  }
}

TEST(BlockMix, IsVerifiedAgainstItsPartsAndNoOthers) {
  Bench bench("compressed-tensors", test::tiny_info(4, 8, false), drawn_llama());
  const BlockMix mix = bench.mix({0, 1, 0});
  const std::string out = bench.temp / "mix";
  bench.export_input(mix.input(bench.modules()), out);
  sys::ThreadPool pool(2);
  const auto verified = exporting::verify_result(out, mix.input(bench.modules())).value();
  EXPECT_TRUE(verified.passed());
  EXPECT_EQ(verified.find("dense")->outcome, exporting::Outcome::passed);
  EXPECT_EQ(mix.compare_logits(out, pool).value().max_abs, 0.0);
  // A mix of other blocks is not what lies there.
  const BlockMix wrong = bench.mix({0, 0, 0});
  const auto refused = exporting::verify_result(out, wrong.input(bench.modules())).value();
  EXPECT_EQ(refused.find("results")->outcome, exporting::Outcome::failed);
  EXPECT_EQ(refused.find("dense")->outcome, exporting::Outcome::failed);
  EXPECT_GT(wrong.compare_logits(out, pool).value().max_abs, 0.0);
}

TEST(BlockMix, EveryArchitectureCanBeMixed) {
  for (const test::TinyModel& tiny : test::tiny_models()) {
    if (!tiny.norm_before || tiny.fused || tiny.norm_after) continue;  // rescaled() knows the plain block
    SCOPED_TRACE(tiny.architecture);
    Bench bench("gptq", test::tiny_info(4, 8, false), tiny);
    std::vector<std::size_t> taken(static_cast<std::size_t>(tiny.num_layers()), 0);
    taken.back() = 1;
    const BlockMix mix = bench.mix(taken);
    const std::string out = bench.temp / "mix";
    bench.export_input(mix.input(bench.modules()), out);
    EXPECT_TRUE(exporting::verify_result(out, mix.input(bench.modules())).value().passed());
  }
}

TEST(BlockMix, ANormOfAnotherTypeIsRefused) {
  test::TinyModel tiny = drawn_llama();
  Bench bench("gptq", test::tiny_info(4, 8, false), tiny);
  tiny.dtype = DType::bf16;
  tiny.draw(5);
  tiny.write(bench.temp / "half");
  const auto half = model::Checkpoint::open(bench.temp / "half").value();
  bench.second.emplace(bench.write(half, bench.temp / "other"));
  const BlockMix mix = bench.mix({0, 0, 1});
  exporting::ExportOptions options;
  options.formats = {"gptq"};
  const auto written =
      exporting::export_checkpoints(mix.input(bench.modules()), bench.temp / "mix", options, sys::null_progress());
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().fault, Fault::unsupported);
  EXPECT_NE(to_string(written.error()).find("layernorm"), std::string::npos);
}

TEST(BlockMix, TheLeastErrorIsTakenAndOfEqualsTheFirst) {
  EXPECT_EQ(least_of({{3, 1, 2}, {1, 1, 2}, {2, 2, 0.5}}), (std::vector<std::size_t>{1, 0, 2}));
}

}  // namespace
}  // namespace quernel::pipeline
