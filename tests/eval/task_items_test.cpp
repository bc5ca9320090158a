#include "eval/task_items.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "eval/task_text.h"
#include "support/documented_limits.h"
#include "support/shared_data.h"
#include "support/temp_folder.h"

namespace quernel::eval {
namespace {

struct Sample {
  TaskKind kind;
  std::string content;
  std::string labels;
};

// Two items of each kind.
std::vector<Sample> samples() {
  return {
      {TaskKind::piqa,
       "{\"goal\":\"g\",\"sol1\":\"a\",\"sol2\":\"b\"}\n{\"goal\":\"h\",\"sol1\":\"c\",\"sol2\":\"d\"}\n", "1\n0\n"},
      {TaskKind::arc,
       "{\"question\":\"q\",\"choices\":[\"a\",\"b\",\"c\"],\"gold\":2}\n"
       "{\"question\":\"r\",\"choices\":{\"text\":[\"a\",\"b\"],\"label\":[\"A\",\"B\"]},\"answerKey\":\"B\"}\n",
       ""},
      {TaskKind::hellaswag, "Some context\n2\na\nb\nc\nd\nOther: context\n0\ne\nf\ng\nlast one\n", ""},
      {TaskKind::winogrande,
       "{\"sentence\":\"a _ b\",\"option1\":\"x\",\"option2\":\"y\",\"answer\":\"2\"}\n"
       "{\"sentence\":\"c _ d\",\"option1\":\"x\",\"option2\":\"y\",\"answer\":\"1\"}\n",
       ""},
      {TaskKind::lambada, "{\"text\":\"the last word\"}\n{\"text\":\"caf\u00e9 ol\u00e9\"}\n", ""},
      {TaskKind::choices,
       "{\"context\":\"c\",\"choices\":[\"a\",\"b\"],\"gold\":1}\n"
       "{\"context\":\"d\",\"choices\":[\"a\",\"b\"],\"gold\":0,\"delimiter\":\"\"}\n",
       ""},
  };
}

Result<std::vector<TaskItem>> parse(TaskKind kind, std::string_view content, std::string_view labels = {}) {
  return parse_task_items(kind, {content, "t.jsonl", labels, "t-labels.lst"});
}

TEST(TaskItems, FilesOfEveryKind) {
  for (const Sample& sample : samples()) {
    const auto items = parse(sample.kind, sample.content, sample.labels);
    ASSERT_TRUE(items.ok()) << to_string(sample.kind) << to_string(items.error());
    ASSERT_EQ(items->size(), 2U);
    EXPECT_EQ((*items)[0].line, 1);
    EXPECT_EQ((*items)[1].line, sample.kind == TaskKind::hellaswag ? 7 : 2);
    if (sample.kind != TaskKind::lambada) {
      EXPECT_NE((*items)[0].gold, (*items)[1].gold) << to_string(sample.kind);
    }
  }
}

// A file that is cut is refused, or gives the items before the cut where it is cut between two.
TEST(TaskItems, CutAtEveryByte) {
  for (const Sample& sample : samples()) {
    const std::size_t first_end =
        sample.kind == TaskKind::hellaswag ? sample.content.find("Other") - 1 : sample.content.find('\n');
    std::set<std::size_t> whole;  // cuts that leave one item, or both without the last line break
    if (sample.kind != TaskKind::piqa) whole = {first_end + 1};
    if (sample.kind != TaskKind::piqa && sample.kind != TaskKind::hellaswag) whole.insert(first_end);
    if (sample.kind != TaskKind::hellaswag) whole.insert(sample.content.size() - 1);
    for (std::size_t length = 0; length < sample.content.size(); ++length) {
      const auto items = parse(sample.kind, std::string(sample.content, 0, length), sample.labels);
      ASSERT_EQ(items.ok(), whole.contains(length)) << to_string(sample.kind) << " cut at " << length;
      if (items.ok()) {
        EXPECT_EQ(items->size(), length <= first_end + 1 ? 1U : 2U);
        continue;
      }
      EXPECT_FALSE(items.error().file.empty()) << length;
      const bool is_placed = items.error().message.starts_with("line ") || items.error().message == "no items";
      EXPECT_TRUE(is_placed) << to_string(items.error());
    }
  }
}

TEST(TaskItems, LabelsCutAtEveryByte) {
  const Sample piqa = samples().front();
  for (std::size_t length = 0; length + 1 < piqa.labels.size(); ++length) {
    const auto items = parse(piqa.kind, piqa.content, std::string(piqa.labels, 0, length));
    ASSERT_FALSE(items.ok()) << length;
    EXPECT_EQ(items.error().file, "t-labels.lst");
    EXPECT_EQ(items.error().field, "label");
  }
  EXPECT_TRUE(parse(piqa.kind, piqa.content, "1\n0").ok());
  for (const char* labels : {"1\n0\n1\n", "1\n2\n", "1\n\n0\n", "1\n 0\n", "10\n", "1\n01\n"})
    EXPECT_FALSE(parse(piqa.kind, piqa.content, labels).ok()) << labels;
}

TEST(TaskItems, ErrorsSayWhere) {
  const auto field = parse(TaskKind::lambada, "{\"text\":\"a b\"}\n\n{\"txt\":\"a b\"}\n");
  ASSERT_FALSE(field.ok());
  EXPECT_TRUE(field.error().message.starts_with("line 3: ")) << field.error().message;
  EXPECT_EQ(field.error().file, "t.jsonl");
  EXPECT_EQ(field.error().field, "text");
  EXPECT_EQ(field.error().offset, 16U);
  const auto syntax = parse(TaskKind::lambada, "{\"text\":\"a b\"}\n{\"text\" \"a b\"}\n");
  ASSERT_FALSE(syntax.ok());
  EXPECT_TRUE(syntax.error().message.starts_with("line 2: ")) << syntax.error().message;
  EXPECT_EQ(syntax.error().offset, 15U + 8U);
  const auto gold = parse(TaskKind::hellaswag, "c\n1\na\nb\nc\nd\nc\n7\na\nb\nc\nd\n");
  ASSERT_FALSE(gold.ok());
  EXPECT_TRUE(gold.error().message.starts_with("line 7: ")) << gold.error().message;
  EXPECT_EQ(gold.error().field, "gold");
  EXPECT_FALSE(parse(TaskKind::lambada, "{\"text\":\"a \xFF\"}\n").ok());
  EXPECT_FALSE(parse(TaskKind::lambada, "\n \n").ok()) << "no items";
}

TEST(TaskItems, LineBreaksOfBothKindsAndBlankLines) {
  const auto jsonl = parse(TaskKind::lambada, "\xEF\xBB\xBF{\"text\":\"a b\"}\r\n\r\n{\"text\":\"c d\"}");
  ASSERT_TRUE(jsonl.ok()) << to_string(jsonl.error());
  EXPECT_EQ(jsonl->size(), 2U);
  const auto lines = parse(TaskKind::hellaswag, "c\r\n1\r\na\r\nb\r\nc\r\nd\r\n");
  ASSERT_TRUE(lines.ok()) << to_string(lines.error());
  EXPECT_EQ(lines->front().choices.back().continuation, " d");
}

TEST(TaskItems, CompressedFilesAreNamed) {
  const auto items = parse(TaskKind::hellaswag, "BZh91AY&SY\x12\x34");
  ASSERT_FALSE(items.ok());
  EXPECT_EQ(items.error().found, "bzip2");
  EXPECT_NE(items.error().hint.find("bunzip2"), std::string::npos);
}

TEST(TaskItems, LimitsOfCodeAndDocumentAgree) {
  const test::Limits code = {{"kMaxTaskBytes", kMaxTaskBytes},
                             {"kMaxTaskLineBytes", kMaxTaskLineBytes},
                             {"kMaxTaskItems", kMaxTaskItems},
                             {"kMaxTaskChoices", kMaxTaskChoices}};
  EXPECT_EQ(test::documented_limits("Tasks"), code);
}

TEST(TaskItems, AtALimitAndOneMore) {
  const auto expect_limit = [](const char* name, TaskKind kind, const std::string& at, const std::string& above) {
    const auto fits = parse(kind, at);
    EXPECT_TRUE(fits.ok()) << name << to_string(fits.error());
    const auto refused = parse(kind, above);
    ASSERT_FALSE(refused.ok()) << name;
    EXPECT_EQ(refused.error().fault, Fault::limit_exceeded) << name << to_string(refused.error());
  };
  const auto of_length = [](std::size_t bytes) { return R"({"text":")" + std::string(bytes - 13, 'x') + " y\"}"; };
  expect_limit("line", TaskKind::lambada, of_length(kMaxTaskLineBytes), of_length(kMaxTaskLineBytes + 1));
  const auto of_choices = [](std::size_t count) {
    std::string record = R"({"context":"c","choices":["a")";
    for (std::size_t i = 1; i < count; ++i) record += ",\"a\"";
    return record + "],\"gold\":0}";
  };
  expect_limit("choices", TaskKind::choices, of_choices(kMaxTaskChoices), of_choices(kMaxTaskChoices + 1));
  std::string many;
  for (std::size_t i = 0; i < kMaxTaskItems; ++i) many += "{\"text\":\"a b\"}\n";
  expect_limit("items", TaskKind::lambada, many, many + "{\"text\":\"a b\"}\n");
  const std::string blank(kMaxTaskBytes, '\n');
  EXPECT_EQ(parse(TaskKind::lambada, blank).error().fault, Fault::corrupt);
  EXPECT_EQ(parse(TaskKind::lambada, blank + '\n').error().fault, Fault::limit_exceeded);
}

TEST(TaskItems, LabelsStandBesideTheFile) {
  EXPECT_EQ(piqa_labels_path("a/piqa.jsonl"), "a/piqa-labels.lst");
  EXPECT_EQ(piqa_labels_path("a/piqa"), "a/piqa-labels.lst");
  const Sample piqa = samples().front();
  const test::TempFolder folder;
  test::write_text(folder / "piqa.jsonl", piqa.content);
  const auto missing = read_task_items(TaskKind::piqa, folder / "piqa.jsonl");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().fault, Fault::not_found);
  EXPECT_EQ(missing.error().file, folder / "piqa-labels.lst");
  EXPECT_FALSE(missing.error().hint.empty());
  test::write_text(folder / "piqa-labels.lst", piqa.labels);
  const auto items = read_task_items(TaskKind::piqa, folder / "piqa.jsonl");
  ASSERT_TRUE(items.ok()) << to_string(items.error());
  EXPECT_EQ(items->front().gold, 1U);
  EXPECT_EQ(read_task_items(TaskKind::lambada, folder / "none").error().fault, Fault::not_found);
}

TEST(TaskItems, PublishedFiles) {
  const std::vector<std::tuple<TaskKind, std::string, std::size_t>> files{
      {TaskKind::piqa, "piqa_valid.jsonl", 1838},
      {TaskKind::arc, "arc_easy_test.jsonl", 2376},
      {TaskKind::arc, "arc_easy_validation.jsonl", 570},
      {TaskKind::winogrande, "winogrande_xl_validation.jsonl", 1267},
      {TaskKind::lambada, "lambada_test.jsonl", 5153}};
  for (const auto& [kind, name, count] : files) {
    const auto path = test::shared_data("tasks/" + name);
    if (!path) GTEST_SKIP() << "no shared data folder";
    const auto items = read_task_items(kind, *path);
    ASSERT_TRUE(items.ok()) << name << ": " << to_string(items.error());
    EXPECT_EQ(items->size(), count) << name;
  }
  const auto compressed = read_task_items(TaskKind::hellaswag, *test::shared_data("tasks/hellaswag_val_full.txt.bz2"));
  ASSERT_FALSE(compressed.ok());
  EXPECT_EQ(compressed.error().found, "bzip2");
}

TEST(TaskText, CharactersAndWhiteSpace) {
  EXPECT_EQ(count_characters(""), 0);
  EXPECT_EQ(count_characters("a\u00e9\uc11c\U0001F600"), 4);
  EXPECT_EQ(count_characters("a\xC3"), std::nullopt);
  EXPECT_EQ(strip_end("a b \t\r\n"), "a b");
  EXPECT_EQ(strip_end("a\u00a0\u3000\u2003\x1c\x85"), "a\u00a0\u3000\u2003\x1c\x85") << "a broken byte is no space";
  EXPECT_EQ(strip_end("a\u00a0\u3000\u2003\x1c\u0085"), "a");
  EXPECT_EQ(strip_end("\u200b"), "\u200b") << "no white space to Python";
  EXPECT_EQ(strip_end("  "), "");
  EXPECT_EQ(strip(" \u00a0 a b\n"), "a b");
}

}  // namespace
}  // namespace quernel::eval
