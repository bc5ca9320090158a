#include "io/safetensors_writer.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstring>
#include <filesystem>

#include "base/json.h"
#include "base/rng.h"
#include "base/sha256.h"
#include "io/limits.h"
#include "io/safetensors_set.h"
#include "safetensors_bytes.h"
#include "support/temp_folder.h"
#include "sys/interrupt.h"

namespace quernel::io {
namespace {

namespace fs = std::filesystem;
using test::as_bytes;
using test::read_text;
using test::TempFolder;
using test::write_text;

// Streams prepared texts, in pieces of uneven size.
TensorSource texts(const std::vector<std::string>& contents) {
  return [&contents](std::size_t index, const ByteSink& sink) -> Status {
    std::string_view rest = contents[index];
    std::size_t piece = 1;
    while (!rest.empty()) {
      QUERNEL_TRY_STATUS(sink(as_bytes(rest.substr(0, piece))));
      rest.remove_prefix(std::min(piece, rest.size()));
      piece = piece * 3 + 1;
    }
    return ok_status();
  };
}

TEST(SafetensorsWriter, GoldenBytes) {
  const TempFolder folder;
  const std::vector<std::string> contents = {std::string("\0\0\x80?\0\0\0@", 8)};
  const auto written = write_safetensors(folder.path(), {{"a", DType::f32, {2}}}, texts(contents), {.metadata = {}});
  ASSERT_TRUE(written.ok()) << to_string(written.error());
  const std::string bytes = read_text(folder / "model.safetensors");
  EXPECT_EQ(bytes, std::string("\x38\0\0\0\0\0\0\0", 8) +
                       R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}  )" + contents[0]);
  EXPECT_EQ(bytes.size(), 72U);
  EXPECT_EQ(written->files, std::vector<std::string>{"model.safetensors"});
  EXPECT_EQ(written->tensor_bytes, 8U);
}

TEST(SafetensorsWriter, OrderAndMetadataOfTheReferenceWriter) {
  const std::vector<PlannedTensor> plan = {{"b.u8", DType::u8, {1}},      {"b.f32", DType::f32, {1}},
                                           {"a.f16", DType::f16, {2, 1}}, {"a.f32", DType::f32, {}},
                                           {"i", DType::i64, {1}},        {"h", DType::bf16, {0, 3}}};
  const std::vector<std::string> contents = {"u", "FFFF", "hhhh", "ffff", "iiiiiiii", ""};
  const TempFolder folder;
  ASSERT_TRUE(write_safetensors(folder.path(), plan, texts(contents)).ok());
  const std::string json =
      R"({"__metadata__":{"format":"pt"},"i":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},)"
      R"("a.f32":{"dtype":"F32","shape":[],"data_offsets":[8,12]},"b.f32":{"dtype":"F32","shape":[1],"data_offsets":[12,16]},)"
      R"("h":{"dtype":"BF16","shape":[0,3],"data_offsets":[16,16]},)"
      R"("a.f16":{"dtype":"F16","shape":[2,1],"data_offsets":[16,20]},"b.u8":{"dtype":"U8","shape":[1],"data_offsets":[20,21]}})";
  const std::string bytes = read_text(folder / "model.safetensors");
  EXPECT_EQ(bytes.substr(8, json.size()), json);
  EXPECT_EQ(static_cast<unsigned char>(bytes[0]) % 8, 0);
  EXPECT_TRUE(bytes.ends_with("iiiiiiiiffffFFFFhhhhu"));
}

struct Made {
  std::vector<PlannedTensor> plan;
  std::vector<std::string> contents;
};

Made some_tensors(int count) {
  constexpr DType kTypes[] = {DType::f32, DType::f16, DType::bf16, DType::i32, DType::u8, DType::boolean, DType::i64};
  CounterRng rng(5, "tensors to write");
  Made made;
  for (int i = 0; i < count; ++i) {
    const DType dtype = kTypes[rng.below(std::size(kTypes))];
    const Shape shape = {static_cast<std::int64_t>(rng.below(9)), static_cast<std::int64_t>(rng.below(40))};
    std::string bytes(static_cast<std::size_t>(shape[0] * shape[1]) * size_of(dtype), '\0');
    for (char& byte : bytes) byte = static_cast<char>(rng.below(256));
    made.plan.push_back({fmt::format("layer.{}.{}", rng.below(1000), i), dtype, shape});
    made.contents.push_back(std::move(bytes));
  }
  return made;
}

TEST(SafetensorsWriter, RoundTripInShardsOfEverySize) {
  const Made made = some_tensors(60);
  for (const std::uint64_t max_shard_bytes : {1ULL, 100ULL, 1000ULL, 5000ULL, 5'000'000'000ULL}) {
    const TempFolder folder;
    const auto written = write_safetensors(folder.path(), made.plan, texts(made.contents),
                                           {.max_shard_bytes = max_shard_bytes, .hash_tensors = true});
    ASSERT_TRUE(written.ok()) << to_string(written.error());
    const auto set = SafetensorsSet::open(folder.path());
    ASSERT_TRUE(set.ok()) << to_string(set.error());
    EXPECT_EQ(set->tensors().size(), made.plan.size());
    EXPECT_TRUE(set->unlisted().empty());
    for (std::size_t i = 0; i < made.plan.size(); ++i) {
      const auto* place = set->find(made.plan[i].name);
      ASSERT_NE(place, nullptr);
      const auto view = place->file->view(*place->entry);
      ASSERT_TRUE(view.ok());
      EXPECT_EQ(view->dtype, made.plan[i].dtype);
      EXPECT_EQ(view->shape, made.plan[i].shape);
      ASSERT_EQ(view->bytes.size(), made.contents[i].size());
      EXPECT_EQ(std::memcmp(view->bytes.data(), made.contents[i].data(), view->bytes.size()), 0);
      EXPECT_EQ(place->entry->offset_bytes % size_of(view->dtype), 0U) << "naturally aligned";
      EXPECT_EQ(written->tensors[i].sha256, sha256_hex(std::string_view(made.contents[i])));
      EXPECT_EQ(written->tensors[i].name, made.plan[i].name);
      EXPECT_EQ(folder / written->tensors[i].file, place->file->path());
    }
    for (const auto& file : set->files()) {
      std::uint64_t bytes = 0;
      for (const auto& entry : file.entries()) bytes += entry.size_bytes;
      EXPECT_TRUE(bytes <= max_shard_bytes || std::count_if(file.entries().begin(), file.entries().end(),
                                                            [](const auto& e) { return e.size_bytes > 0; }) == 1);
    }
  }
}

TEST(SafetensorsWriter, IndexOfShards) {
  const TempFolder folder;
  const std::vector<std::string> contents = {"bbbb", "aaaa", "cc"};
  const std::vector<PlannedTensor> plan = {{"b", DType::u8, {4}}, {"a", DType::f32, {1}}, {"c", DType::u8, {2}}};
  const auto written = write_safetensors(folder.path(), plan, texts(contents), {.max_shard_bytes = 8});
  ASSERT_TRUE(written.ok());
  EXPECT_EQ(written->files, (std::vector<std::string>{"model-00001-of-00002.safetensors",
                                                      "model-00002-of-00002.safetensors", kSafetensorsIndexName}));
  EXPECT_EQ(read_text(folder / kSafetensorsIndexName),
            "{\n  \"metadata\": {\n    \"total_size\": 10\n  },\n  \"weight_map\": {\n"
            "    \"a\": \"model-00001-of-00002.safetensors\",\n    \"b\": \"model-00001-of-00002.safetensors\",\n"
            "    \"c\": \"model-00002-of-00002.safetensors\"\n  }\n}\n");
}

TEST(SafetensorsWriter, SamePlanSameBytes) {
  const Made made = some_tensors(20);
  const TempFolder first;
  const TempFolder second;
  for (const TempFolder* folder : {&first, &second}) {
    ASSERT_TRUE(write_safetensors(folder->path(), made.plan, texts(made.contents), {.max_shard_bytes = 3000}).ok());
  }
  for (const auto& item : fs::directory_iterator(first.path())) {
    const std::string name = item.path().filename();
    EXPECT_EQ(read_text(first / name), read_text(second / name)) << name;
  }
}

std::vector<std::string> names_in(const TempFolder& folder) {
  std::vector<std::string> names;
  for (const auto& item : fs::directory_iterator(folder.path())) names.push_back(item.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

TEST(SafetensorsWriter, BadPlansWriteNothing) {
  const TempFolder folder;
  const std::vector<std::string> contents(4);
  const std::pair<const char*, std::vector<PlannedTensor>> plans[] = {
      {"same name twice", {{"a", DType::u8, {0}}, {"b", DType::u8, {0}}, {"a", DType::f32, {0}}}},
      {"empty name", {{"", DType::u8, {0}}}},
      {"reserved name", {{"__metadata__", DType::u8, {0}}}},
      {"control character", {{"a\n", DType::u8, {0}}}},
      {"invalid UTF-8", {{"\xFF", DType::u8, {0}}}},
      {"negative dimension", {{"a", DType::u8, {-1}}}},
      {"size wraps", {{"a", DType::u8, {std::int64_t{1} << 40, std::int64_t{1} << 40}}}},
      {"bytes wrap", {{"a", DType::f64, {std::int64_t{1} << 62}}}},
      {"rank", {{"a", DType::u8, Shape(kMaxTensorRank + 1, 0)}}},
  };
  for (const auto& [name, plan] : plans) {
    const auto written = write_safetensors(folder.path(), plan, texts(contents));
    ASSERT_FALSE(written.ok()) << name;
    EXPECT_EQ(written.error().fault, Fault::invalid_argument) << name;
  }
  EXPECT_TRUE(names_in(folder).empty());
}

TEST(SafetensorsWriter, SourceThatGivesTooMuchOrTooLittle) {
  const TempFolder folder;
  for (const char* content : {"abc", "abcde", ""}) {
    const std::vector<std::string> contents = {content};
    const auto written = write_safetensors(folder.path(), {{"w", DType::u8, {4}}}, texts(contents));
    ASSERT_FALSE(written.ok()) << content;
    EXPECT_EQ(written.error().tensor, "w");
    EXPECT_TRUE(names_in(folder).empty()) << "no part stays behind";
  }
}

// The old set stays whole until the new one begins, and nothing is published when a later tensor fails.
TEST(SafetensorsWriter, FailureInTheMiddlePublishesNoIndex) {
  const TempFolder folder;
  const std::vector<PlannedTensor> plan = {{"a", DType::u8, {4}}, {"b", DType::u8, {4}}, {"c", DType::u8, {4}}};
  const TensorSource failing = [](std::size_t index, const ByteSink& sink) -> Status {
    if (index == 2) return Error(Fault::interrupted, "stopped");
    return sink(as_bytes("abcd"));
  };
  const auto written = write_safetensors(folder.path(), plan, failing, {.max_shard_bytes = 4});
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().fault, Fault::interrupted);
  EXPECT_EQ(written.error().tensor, "c");
  EXPECT_EQ(names_in(folder),
            (std::vector<std::string>{"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors"}));
  EXPECT_EQ(SafetensorsSet::open(folder.path()).error().fault, Fault::not_found);
}

TEST(SafetensorsWriter, NewSetReplacesTheOldOneWhole) {
  const TempFolder folder;
  const std::vector<PlannedTensor> plan = {{"a", DType::u8, {4}}, {"b", DType::u8, {4}}};
  const std::vector<std::string> first = {"1111", "1111"};
  const std::vector<std::string> second = {"2222", "2222"};
  const auto tensor_a = [&folder] {
    return std::to_integer<char>(SafetensorsSet::open(folder.path())->view("a")->bytes[0]);
  };
  ASSERT_TRUE(write_safetensors(folder.path(), plan, texts(first)).ok());
  EXPECT_EQ(tensor_a(), '1');
  ASSERT_TRUE(write_safetensors(folder.path(), plan, texts(second), {.max_shard_bytes = 4}).ok());
  EXPECT_EQ(tensor_a(), '2');
  EXPECT_FALSE(fs::exists(folder / kSafetensorsSingleName)) << "it would win over the index";
  // A failure after the first shard of another set must leave no mixture of the two.
  const TensorSource failing = [](std::size_t index, const ByteSink& sink) -> Status {
    if (index == 1) return Error(Fault::io_error, "failed");
    return sink(as_bytes("3333"));
  };
  ASSERT_FALSE(write_safetensors(folder.path(), plan, failing, {.max_shard_bytes = 4}).ok());
  EXPECT_EQ(SafetensorsSet::open(folder.path()).error().fault, Fault::not_found);
  ASSERT_TRUE(write_safetensors(folder.path(), plan, texts(first)).ok());
  EXPECT_EQ(tensor_a(), '1');
  EXPECT_FALSE(fs::exists(folder / kSafetensorsIndexName));
}

TEST(SafetensorsWriter, FoldersThatCannotBeWritten) {
  const std::vector<std::string> contents = {"abcd"};
  const std::vector<PlannedTensor> plan = {{"a", DType::u8, {4}}};
  const TempFolder folder;
  EXPECT_FALSE(write_safetensors(folder / "absent", plan, texts(contents)).ok());
  write_text(folder / "file", "x");
  EXPECT_FALSE(write_safetensors(folder / "file", plan, texts(contents)).ok());
}

// The limit of the process on the size of a file stands in for a full disk.
TEST(SafetensorsWriter, FileThatCannotGrow) {
  const TempFolder folder;
  const std::vector<std::string> contents = {std::string(100'000, 'x')};
  struct rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const struct rlimit small{4096, before.rlim_max};
  sys::install_interrupt_handlers();  // ignores SIGXFSZ
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto written = write_safetensors(folder.path(), {{"a", DType::u8, {100'000}}}, texts(contents));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().fault, Fault::out_of_disk) << to_string(written.error());
  EXPECT_TRUE(names_in(folder).empty());
}

}  // namespace
}  // namespace quernel::io
