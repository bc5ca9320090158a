#include "io/safetensors_set.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "io/limits.h"
#include "safetensors_bytes.h"
#include "support/temp_folder.h"

namespace quernel::io {
namespace {

namespace fs = std::filesystem;
using test::read_text;
using test::safetensors_bytes;
using test::TempFolder;
using test::write_text;

// A file with one U8 tensor that holds `value`.
std::string one_tensor(const std::string& name, char value) {
  return safetensors_bytes("{\"" + name + R"(":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                           std::string(1, value));
}

std::string index_of(const std::vector<std::pair<std::string, std::string>>& map) {
  std::string text = R"({"metadata":{"total_size":2},"weight_map":{)";
  for (const auto& [tensor, file] : map) text += fmt::format(R"("{}":"{}",)", tensor, file);
  text.back() = '}';
  return text + "}";
}

void write_two_shards(const TempFolder& folder) {
  write_text(folder / "model-00001-of-00002.safetensors", one_tensor("a", 'A'));
  write_text(folder / "model-00002-of-00002.safetensors", one_tensor("b", 'B'));
  write_text(folder / kSafetensorsIndexName,
             index_of({{"b", "model-00002-of-00002.safetensors"}, {"a", "model-00001-of-00002.safetensors"}}));
}

TEST(SafetensorsSet, SingleFile) {
  const TempFolder folder;
  write_text(folder / kSafetensorsSingleName, one_tensor("w", 'W'));
  auto opened = SafetensorsSet::open(folder.path());
  ASSERT_TRUE(opened.ok()) << to_string(opened.error());
  const SafetensorsSet set = std::move(opened).value();
  EXPECT_FALSE(set.has_index());
  ASSERT_EQ(set.tensors().size(), 1U);
  EXPECT_EQ(std::to_integer<char>(set.view("w")->bytes[0]), 'W');
  EXPECT_EQ(set.find("x"), nullptr);
  EXPECT_EQ(set.view("x").error().fault, Fault::not_found);
}

TEST(SafetensorsSet, ShardsWithAnIndex) {
  const TempFolder folder;
  write_two_shards(folder);
  auto opened = SafetensorsSet::open(folder.path());
  ASSERT_TRUE(opened.ok()) << to_string(opened.error());
  const SafetensorsSet set = std::move(opened).value();
  EXPECT_TRUE(set.has_index());
  EXPECT_EQ(set.files().size(), 2U);
  EXPECT_TRUE(set.unlisted().empty());
  EXPECT_EQ(std::to_integer<char>(set.view("a")->bytes[0]), 'A');
  EXPECT_EQ(std::to_integer<char>(set.view("b")->bytes[0]), 'B');
  EXPECT_EQ(set.find("b")->file->path(), folder / "model-00002-of-00002.safetensors");
}

TEST(SafetensorsSet, SingleFileWinsOverAnIndex) {
  const TempFolder folder;
  write_two_shards(folder);
  write_text(folder / kSafetensorsSingleName, one_tensor("w", 'W'));
  const auto set = SafetensorsSet::open(folder.path());
  ASSERT_TRUE(set.ok());
  EXPECT_NE(set->find("w"), nullptr);
  EXPECT_EQ(set->find("a"), nullptr);
}

TEST(SafetensorsSet, TensorsThatTheIndexDoesNotNameAreLeftOut) {
  const TempFolder folder;
  write_text(folder / "s.safetensors", safetensors_bytes(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                                                         R"("extra":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                                                         "AX"));
  write_text(folder / kSafetensorsIndexName, index_of({{"a", "s.safetensors"}}));
  const auto set = SafetensorsSet::open(folder.path());
  ASSERT_TRUE(set.ok());
  EXPECT_EQ(set->tensors().size(), 1U);
  EXPECT_EQ(set->find("extra"), nullptr);
  EXPECT_EQ(set->unlisted(), std::vector<std::string>{"s.safetensors: extra"});
}

TEST(SafetensorsSet, TensorMissingFromItsShard) {
  const TempFolder folder;
  write_two_shards(folder);
  write_text(folder / kSafetensorsIndexName,
             index_of({{"a", "model-00001-of-00002.safetensors"}, {"b", "model-00001-of-00002.safetensors"}}));
  const auto set = SafetensorsSet::open(folder.path());
  ASSERT_FALSE(set.ok());
  EXPECT_EQ(set.error().fault, Fault::corrupt);
  EXPECT_EQ(set.error().tensor, "b");
  EXPECT_EQ(set.error().file, folder / kSafetensorsIndexName);
}

TEST(SafetensorsSet, MissingOrDamagedShard) {
  const TempFolder folder;
  write_two_shards(folder);
  fs::resize_file(folder / "model-00002-of-00002.safetensors", 20);
  auto damaged = SafetensorsSet::open(folder.path());
  ASSERT_FALSE(damaged.ok());
  EXPECT_EQ(damaged.error().fault, Fault::corrupt);
  EXPECT_EQ(damaged.error().file, folder / "model-00002-of-00002.safetensors");
  fs::remove(folder / "model-00002-of-00002.safetensors");
  const auto missing = SafetensorsSet::open(folder.path());
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().fault, Fault::not_found);
  EXPECT_FALSE(missing.error().hint.empty());
}

TEST(SafetensorsSet, FoldersThatHoldNoWeights) {
  const TempFolder folder;
  const auto none = SafetensorsSet::open(folder.path());
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().fault, Fault::not_found);
  EXPECT_EQ(none.error().file, folder.path());
  EXPECT_EQ(SafetensorsSet::open(folder / "absent").error().fault, Fault::not_found);
}

TEST(SafetensorsSet, IndexTruncatedAtEveryByte) {
  const std::string whole = index_of({{"a", "m.safetensors"}, {"b", "n.safetensors"}});
  ASSERT_TRUE(parse_safetensors_index(whole, "i").ok());
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const auto parsed = parse_safetensors_index(std::string_view(whole).substr(0, length), "i");
    ASSERT_FALSE(parsed.ok()) << length;
    EXPECT_TRUE(parsed.error().offset.has_value());
    EXPECT_EQ(parsed.error().file, "i");
  }
}

TEST(SafetensorsSet, IndexesThatSayNothingUsable) {
  for (const char* text : {"{}", "[]", "null", R"({"weight_map":[]})", R"({"weight_map":null})",
                           R"({"weight_map":{"a":1}})", R"({"weight_map":{"a":null}})", R"({"weight_map":{"a":["x"]}})",
                           R"({"weight_map":{"":"m.safetensors"}})", R"({"weight_map":{"\u0000":"m.safetensors"}})",
                           R"({"weight_map":{"a":"m.safetensors","a":"n.safetensors"}})"}) {
    EXPECT_FALSE(parse_safetensors_index(text, "i").ok()) << text;
  }
}

// Names that the index must not reach anything with, wherever they point; tried against files that exist there.
TEST(SafetensorsSet, PathTricksAreRefused) {
  const TempFolder outside;
  write_text(outside / "secret.safetensors", one_tensor("a", 'S'));
  const TempFolder folder;
  const std::string up = fmt::format("../{}/secret.safetensors", fs::path(outside.path()).filename().string());
  fs::create_directory(folder / "sub");
  write_text(folder / "sub/m.safetensors", one_tensor("a", 'A'));
  const std::string names[] = {
      up,
      "./" + up,
      "sub/../" + up,
      outside / "secret.safetensors",
      fmt::format("//{}", outside / "secret.safetensors"),
      fmt::format("file://{}", outside / "secret.safetensors"),
      "sub/m.safetensors",
      "./sub/m.safetensors",
      "sub//m.safetensors",
      "..",
      ".",
      "",
      "/",
      "../",
      "..\\\\secret.safetensors",
      "%2e%2e/secret.safetensors",
      "~/secret.safetensors",
      "m.safetensors\\u0000.json",
      "../secret.safetensors\\u0000m.safetensors",
      "m",
      "m.bin",
      "m.safetensors/",
      "m.safetensors ",
      " m.safetensors",
      "M.SAFETENSORS",
      std::string(250, 'n') + ".safetensors",
      std::string(100'000, '.') + "/m.safetensors",
      "/proc/self/mem",
      "/dev/zero",
      "/etc/passwd",
  };
  for (const std::string& name : names) {
    write_text(folder / kSafetensorsIndexName, index_of({{"a", name}}));
    const auto set = SafetensorsSet::open(folder.path());
    ASSERT_FALSE(set.ok()) << name.substr(0, 60);
  }
}

// Plain names, but what stands under them is no file of this folder.
TEST(SafetensorsSet, LinksAndOddFilesAreRefused) {
  const TempFolder outside;
  write_text(outside / "secret.safetensors", one_tensor("a", 'S'));
  fs::create_directory(outside / "deep");
  write_text(outside / "deep/x.safetensors", one_tensor("a", 'S'));
  const TempFolder folder;
  const std::string shard = folder / "m.safetensors";
  write_text(folder / kSafetensorsIndexName, index_of({{"a", "m.safetensors"}}));

  const auto expect_refused = [&](const char* what) {
    const auto set = SafetensorsSet::open(folder.path());
    EXPECT_FALSE(set.ok()) << what;
    fs::remove_all(shard);
  };
  fs::create_symlink(outside / "secret.safetensors", shard);
  expect_refused("absolute link out of the folder");
  fs::create_symlink(fs::relative(outside / "secret.safetensors", folder.path()), shard);
  expect_refused("relative link out of the folder");
  fs::create_symlink("m.safetensors", shard);
  expect_refused("link to itself");
  fs::create_symlink("absent", shard);
  expect_refused("dangling link");
  fs::create_symlink("/dev/zero", shard);
  expect_refused("link to a device");
  fs::create_directory_symlink(outside / "deep", folder / "sub");
  fs::create_symlink("sub/x.safetensors", shard);
  expect_refused("link through a linked folder");
  fs::create_directory(shard);
  expect_refused("folder");
  ASSERT_EQ(::mkfifo(shard.c_str(), 0600), 0);
  expect_refused("pipe");
  write_text(shard, "");
  expect_refused("empty file");

  // What is legal: a link inside the folder, and a hard link, which cannot be told from a file.
  write_text(folder / "real.safetensors", one_tensor("a", 'R'));
  fs::create_symlink("real.safetensors", shard);
  EXPECT_TRUE(SafetensorsSet::open(folder.path()).ok());
  fs::remove(shard);
  fs::create_hard_link(folder / "real.safetensors", shard);
  EXPECT_TRUE(SafetensorsSet::open(folder.path()).ok());
}

// The single file and the index themselves are opened by the same rules.
TEST(SafetensorsSet, FixedNamesMayNotLeaveTheFolderEither) {
  const TempFolder outside;
  write_text(outside / "secret.safetensors", one_tensor("a", 'S'));
  write_text(outside / "index.json", index_of({{"a", "secret.safetensors"}}));
  const TempFolder folder;
  fs::create_symlink(outside / "secret.safetensors", folder / kSafetensorsSingleName);
  EXPECT_FALSE(SafetensorsSet::open(folder.path()).ok());
  fs::remove(folder / kSafetensorsSingleName);
  fs::create_symlink(outside / "index.json", folder / kSafetensorsIndexName);
  EXPECT_FALSE(SafetensorsSet::open(folder.path()).ok());
}

// The cache of the Hugging Face hub: snapshots/<revision>/ holds links into blobs/ of the same entry.
TEST(SafetensorsSet, SnapshotOfTheHubCache) {
  const TempFolder cache;
  const std::string entry = cache / "models--org--name";
  fs::create_directories(entry + "/blobs");
  fs::create_directories(entry + "/snapshots/abc");
  write_text(entry + "/blobs/0123", one_tensor("w", 'W'));
  fs::create_symlink("../../blobs/0123", entry + "/snapshots/abc/model.safetensors");
  EXPECT_TRUE(SafetensorsSet::open(entry + "/snapshots/abc").ok());
  fs::remove(entry + "/snapshots/abc/model.safetensors");
  write_text(cache / "other", one_tensor("w", 'X'));
  fs::create_symlink("../../../other", entry + "/snapshots/abc/model.safetensors");
  EXPECT_FALSE(SafetensorsSet::open(entry + "/snapshots/abc").ok());
}

TEST(SafetensorsSet, TooManyShards) {
  const TempFolder folder;
  std::vector<std::pair<std::string, std::string>> map;
  for (std::size_t i = 0; i <= kMaxShards; ++i) {
    map.emplace_back(std::to_string(i), fmt::format("s{}.safetensors", i));
  }
  write_text(folder / kSafetensorsIndexName, index_of(map));
  const auto set = SafetensorsSet::open(folder.path());
  ASSERT_FALSE(set.ok());
  EXPECT_EQ(set.error().fault, Fault::limit_exceeded);
}

}  // namespace
}  // namespace quernel::io
