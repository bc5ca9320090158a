#include "engine/packed_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include "model/checkpoint.h"
#include "runtime/tiny_model.h"
#include "support/temp_folder.h"

namespace quernel::engine {
namespace {

namespace fs = std::filesystem;

struct Model {
  test::TempFolder folder;
  sys::ThreadPool pool{2};
  model::Checkpoint checkpoint;
  std::string cache;

  Model() : checkpoint(opened()), cache(packed_cache_path(checkpoint)) {}

  CachedWeights load(double worth_seconds = 0.0, PackedCacheUse use = PackedCacheUse::automatic) {
    Result<CachedWeights> loaded = load_weights(checkpoint, pool, use, worth_seconds);
    EXPECT_TRUE(loaded.ok());
    return std::move(loaded).value();
  }

 private:
  model::Checkpoint opened() {
    test::TinyModel tiny = test::tiny_llama();
    tiny.draw(3);
    tiny.write(folder.path());
    return std::move(model::Checkpoint::open(folder.path())).value();
  }
};

bool same(const ModelWeights& a, const ModelWeights& b) {
  bool equal = std::ranges::equal(a.head.weight.memory(), b.head.weight.memory()) && a.final_norm == b.final_norm;
  for (std::size_t l = 0; l < a.layers.size(); ++l) {
    equal = equal && a.layers[l].mlp_norm == b.layers[l].mlp_norm;
    for (std::size_t i = 0; i < a.layers[l].linears.size(); ++i)
      equal =
          equal && std::ranges::equal(a.layers[l].linears[i].weight.memory(), b.layers[l].linears[i].weight.memory());
  }
  return equal;
}

TEST(PackedCache, IsWrittenOnceAndReadAgain) {
  Model model;
  const CachedWeights first = model.load();
  EXPECT_FALSE(first.from_cache);
  EXPECT_NE(first.note.find(model.cache), std::string::npos) << first.note;
  ASSERT_TRUE(fs::exists(model.cache));
  const CachedWeights second = model.load();
  EXPECT_TRUE(second.from_cache);
  EXPECT_EQ(second.note, "");
  EXPECT_TRUE(same(first.weights, second.weights));
  EXPECT_TRUE(model::Checkpoint::open(model.folder.path()).ok());
}

TEST(PackedCache, NothingIsWrittenWhereItDoesNotPayOrIsNotWanted) {
  Model model;
  EXPECT_EQ(model.load(1e9).note, "");
  EXPECT_EQ(model.load(0.0, PackedCacheUse::off).note, "");
  EXPECT_FALSE(fs::exists(model.cache));
}

TEST(PackedCache, OfAnotherStateOfTheModelIsMadeAgain) {
  Model model;
  model.load();
  fs::last_write_time(model.folder / "model.safetensors", fs::file_time_type::clock::now() + std::chrono::seconds(5));
  const CachedWeights again = model.load(1e9);  // packing is quick, but what is stale would be met at every load
  EXPECT_FALSE(again.from_cache);
  EXPECT_NE(again.note.find("another state"), std::string::npos) << again.note;
  EXPECT_TRUE(model.load().from_cache);
}

TEST(PackedCache, ThatIsCorruptIsMadeAgain) {
  Model model;
  const CachedWeights first = model.load();
  const std::string whole = test::read_text(model.cache);
  std::string bytes = whole;
  bytes[bytes.size() - 100] ^= 1;
  for (const std::string& bad : {bytes, whole.substr(0, whole.size() / 2), std::string(), std::string("text")}) {
    test::write_text(model.cache, bad);
    const CachedWeights again = model.load();
    EXPECT_FALSE(again.from_cache);
    EXPECT_NE(again.note.find("packed again"), std::string::npos) << again.note;
    EXPECT_TRUE(same(first.weights, again.weights));
    EXPECT_EQ(test::read_text(model.cache), whole);
  }
}

TEST(PackedCache, ThatCannotBeWrittenIsANote) {
  Model model;
  ASSERT_TRUE(fs::create_directory(model.cache));  // a folder in its place: neither readable nor replaceable
  test::write_text(model.cache + "/x", "x");
  const CachedWeights loaded = model.load();
  EXPECT_FALSE(loaded.from_cache);
  EXPECT_NE(loaded.note.find("not kept"), std::string::npos) << loaded.note;
  EXPECT_EQ(test::read_text(model.cache + "/x"), "x");
  for (const auto& entry : fs::directory_iterator(model.folder.path()))
    EXPECT_EQ(entry.path().string().find(".tmp."), std::string::npos);
}

}  // namespace
}  // namespace quernel::engine
