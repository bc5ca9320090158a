#include "pipeline/module_store.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "base/rng.h"
#include "support/temp_folder.h"

namespace quernel::pipeline {
namespace {

StoredModule sample_module() {
  StoredModule module;
  codec::IntegerMatrix& matrix = module.matrix;
  matrix.rows = 3;
  matrix.cols = 10;
  matrix.bits = 4;
  matrix.group_size = 4;
  matrix.group_of_column = codec::contiguous_groups(matrix.cols, matrix.group_size);
  CounterRng rng(7, "module store");
  for (int i = 0; i < 30; ++i) matrix.codes.push_back(static_cast<std::uint8_t>(rng.below(16)));
  for (int i = 0; i < 9; ++i) {
    matrix.scales.push_back(0.125F * static_cast<float>(i + 1));
    matrix.zero_points.push_back(static_cast<std::uint8_t>(rng.below(16)));
  }
  module.report.name = "model.layers.0.self_attn.q_proj";
  module.report.layer = 4;
  module.report.relative_loss = 1.0 / 3.0;
  module.report.damp = 0.01;
  module.report.fallback = "no factor";
  return module;
}

TEST(ModuleStore, ReturnsWhatItWasGivenBitForBit) {
  const test::TempFolder folder;
  const ModuleStore store(folder.path());
  const StoredModule module = sample_module();
  EXPECT_FALSE(store.contains(module.report.name));
  ASSERT_TRUE(store.put(module).ok());
  EXPECT_TRUE(store.contains(module.report.name));
  const auto read = store.get(module.report.name);
  ASSERT_TRUE(read.ok()) << to_string(read.error());
  EXPECT_EQ(read->matrix.codes, module.matrix.codes);
  EXPECT_EQ(read->matrix.scales, module.matrix.scales);
  EXPECT_EQ(read->matrix.zero_points, module.matrix.zero_points);
  EXPECT_EQ(read->matrix.group_of_column, module.matrix.group_of_column);
  EXPECT_EQ(read->report.relative_loss, module.report.relative_loss);
  EXPECT_EQ(read->report.fallback, module.report.fallback);
  EXPECT_TRUE(read->report.resumed);
}

TEST(ModuleStore, KeepsTheSecondLevel) {
  const test::TempFolder folder;
  const ModuleStore store(folder.path());
  StoredModule module = sample_module();
  codec::IntegerMatrix& matrix = module.matrix;
  matrix.levels.emplace();
  matrix.levels->row_scales = {0.5F, 0.25F, 2.0F};
  for (std::size_t i = 0; i < 9; ++i) {
    matrix.levels->group_scales.push_back(static_cast<std::uint8_t>(i % 8 + 1));
    matrix.scales[i] = matrix.levels->row_scales[i / 3] * static_cast<float>(i % 8 + 1);
  }
  ASSERT_TRUE(store.put(module).ok());
  const auto read = store.get(module.report.name);
  ASSERT_TRUE(read.ok()) << to_string(read.error());
  ASSERT_TRUE(read->matrix.levels.has_value());
  EXPECT_EQ(read->matrix.levels->row_scales, matrix.levels->row_scales);
  EXPECT_EQ(read->matrix.levels->group_scales, matrix.levels->group_scales);
}

// sample_module() with two weights beside the codes.
StoredModule listed_module() {
  StoredModule module = sample_module();
  codec::IntegerMatrix& matrix = module.matrix;
  for (const codec::Outlier one : {codec::Outlier{0, 3, 0.1F}, codec::Outlier{2, 9, -70.0F}}) {
    matrix.codes[static_cast<std::size_t>(one.row * 10 + one.col)] =
        matrix.zero_points[static_cast<std::size_t>(one.row * 3 + one.col / 4)];
    matrix.outliers.push_back(one);
  }
  return module;
}

TEST(ModuleStore, KeepsOutliers) {
  const test::TempFolder folder;
  const ModuleStore store(folder.path());
  const StoredModule module = listed_module();
  ASSERT_TRUE(store.put(module).ok());
  const auto read = store.get(module.report.name);
  ASSERT_TRUE(read.ok()) << to_string(read.error());
  EXPECT_EQ(read->matrix.outliers, module.matrix.outliers);
}

TEST(ModuleStore, EveryTruncationAndEveryFlippedByteIsFound) {
  const test::TempFolder folder;
  const ModuleStore store(folder.path());
  const StoredModule module = listed_module();
  ASSERT_TRUE(store.put(module).ok());
  const std::string path = folder / module.report.name;
  const std::string whole = test::read_text(path);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    test::write_text(path, whole.substr(0, length));
    EXPECT_FALSE(store.get(module.report.name).ok()) << "truncated to " << length;
  }
  const std::size_t payload = whole.size() - (30 + 9 * 4 + 9 + 10 * 4 + 2 * 12);
  for (std::size_t at = payload; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    test::write_text(path, damaged);
    const auto read = store.get(module.report.name);
    ASSERT_FALSE(read.ok()) << "flipped at " << at;
    EXPECT_EQ(read.error().fault, Fault::corrupt);
  }
}

TEST(ModuleStore, AModuleUnderAnotherNameIsRefused) {
  const test::TempFolder folder;
  const ModuleStore store(folder.path());
  const StoredModule module = sample_module();
  ASSERT_TRUE(store.put(module).ok());
  std::filesystem::copy(folder / module.report.name, folder / "other");
  EXPECT_FALSE(store.get("other").ok());
  store.erase("other");
  EXPECT_FALSE(store.contains("other"));
}

}  // namespace
}  // namespace quernel::pipeline
