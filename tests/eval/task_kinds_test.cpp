#include "eval/task_kinds.h"

#include <gtest/gtest.h>

namespace quernel::eval {
namespace {

Result<TaskItem> read(TaskKind kind, const std::string& json) {
  return item_of_record(kind, parse_json(json, "t.jsonl").value());
}

TaskItem good(TaskKind kind, const std::string& json) {
  auto item = read(kind, json);
  if (!item.ok()) ADD_FAILURE() << json << ": " << to_string(item.error());
  return item.ok() ? *item : TaskItem{};
}

// "lead|continuation|characters" of each choice.
std::vector<std::string> shown(const TaskItem& item) {
  std::vector<std::string> texts;
  for (const Choice& choice : item.choices)
    texts.push_back(choice.lead + "|" + choice.continuation + "|" + std::to_string(choice.characters));
  return texts;
}

using Texts = std::vector<std::string>;

TEST(TaskKinds, Piqa) {
  const TaskItem item = good(TaskKind::piqa, R"({"goal":"dry it","sol1":"in the sun","sol2":"caf\u00e9 "})");
  EXPECT_EQ(item.context, "Question: dry it\nAnswer:");
  EXPECT_EQ(shown(item), (Texts{"| in the sun|10", "| café |5"}));
  EXPECT_EQ(item.gold, 0U);
}

TEST(TaskKinds, ArcInBothForms) {
  const TaskItem plain = good(TaskKind::arc, R"({"id":7,"question":"Which?","choices":["a","bc","d"],"gold":2})");
  EXPECT_EQ(plain.context, "Question: Which?\nAnswer:");
  EXPECT_EQ(shown(plain), (Texts{"| a|1", "| bc|2", "| d|1"}));
  EXPECT_EQ(plain.gold, 2U);
  const TaskItem labelled =
      good(TaskKind::arc,
           R"({"question":"Which?","choices":{"text":["a","bc","d"],"label":["1","2","3"]},"answerKey":"2"})");
  EXPECT_EQ(labelled.context, plain.context);
  EXPECT_EQ(shown(labelled), shown(plain));
  EXPECT_EQ(labelled.gold, 1U);
}

TEST(TaskKinds, Hellaswag) {
  const std::array<std::string_view, kHellaswagLines> lines{"Baking: A man. he", "3", "a", "b", "c", "de"};
  const auto item = hellaswag_item(lines);
  ASSERT_TRUE(item.ok());
  EXPECT_EQ(item->context, "Baking: A man. he");
  EXPECT_EQ(shown(*item), (Texts{"| a|1", "| b|1", "| c|1", "| de|2"}));
  EXPECT_EQ(item->gold, 3U);
  for (const char* gold : {"", "4", "-1", "01", " 1", "x"}) {
    std::array<std::string_view, kHellaswagLines> other = lines;
    other[1] = gold;
    EXPECT_FALSE(hellaswag_item(other).ok()) << gold;
  }
  for (const std::size_t broken : {0U, 2U, 5U}) {
    std::array<std::string_view, kHellaswagLines> other = lines;
    other[broken] = "\xFF";
    EXPECT_FALSE(hellaswag_item(other).ok()) << broken;
  }
}

TEST(TaskKinds, WinograndeScoresWhatFollowsTheGap) {
  const TaskItem item = good(TaskKind::winogrande, R"({"sentence":"Ann met Eve, so _  was_glad. ","option1":"Ann",)"
                                                   R"("option2":"Eve","answer":"2"})");
  EXPECT_EQ(item.context, "Ann met Eve, so ");
  EXPECT_EQ(shown(item), (Texts{"Ann| was_glad.|9", "Eve| was_glad.|9"}));
  EXPECT_EQ(item.gold, 1U);
}

TEST(TaskKinds, LambadaScoresTheLastWord) {
  const TaskItem item = good(TaskKind::lambada, R"({"text":"I said.\n\n\"No, Mr.  Shane"})");
  EXPECT_EQ(item.context, "I said.\n\n\"No, Mr. ");
  EXPECT_EQ(shown(item), (Texts{"| Shane|5"}));
  EXPECT_EQ(item.gold, 0U);
}

TEST(TaskKinds, ChoicesOfAnyTask) {
  const TaskItem item = good(TaskKind::choices, R"({"context":"수도는","choices":["서울","부산"],"gold":0})");
  EXPECT_EQ(item.context, "수도는");
  EXPECT_EQ(shown(item), (Texts{"| 서울|2", "| 부산|2"}));
  const TaskItem joined =
      good(TaskKind::choices, R"({"context":"","choices":["a","b"],"gold":1,"delimiter":"","note":{"any":1}})");
  EXPECT_EQ(shown(joined), (Texts{"|a|1", "|b|1"}));
}

TEST(TaskKinds, WrongRecordsNameTheField) {
  const std::vector<std::tuple<TaskKind, std::string, std::string>> cases{
      {TaskKind::piqa, R"([])", "goal"},
      {TaskKind::piqa, R"({"goal":"g","sol1":"a"})", "sol2"},
      {TaskKind::piqa, R"({"goal":"g","sol1":"","sol2":"b"})", "sol1"},
      {TaskKind::piqa, R"({"goal":5,"sol1":"a","sol2":"b"})", "goal"},
      {TaskKind::arc, R"("text")", "question"},
      {TaskKind::arc, R"({"question":"q","gold":0})", "choices"},
      {TaskKind::arc, R"({"question":"q","choices":"ab","gold":0})", "choices"},
      {TaskKind::arc, R"({"question":"q","choices":["a"],"gold":0})", "choices"},
      {TaskKind::arc, R"({"question":"q","choices":["a",""],"gold":0})", "choices[1]"},
      {TaskKind::arc, R"({"question":"q","choices":["a",1],"gold":0})", "choices[1]"},
      {TaskKind::arc, R"({"question":"q","choices":["a","b"]})", "gold"},
      {TaskKind::arc, R"({"question":"q","choices":["a","b"],"gold":2})", "gold"},
      {TaskKind::arc, R"({"question":"q","choices":["a","b"],"gold":-1})", "gold"},
      {TaskKind::arc, R"({"question":"q","choices":["a","b"],"gold":1.0})", "gold"},
      {TaskKind::arc, R"({"question":"q","choices":{"text":["a","b"],"label":["A"]},"answerKey":"A"})", "label"},
      {TaskKind::arc, R"({"question":"q","choices":{"label":["A"]},"answerKey":"A"})", "text"},
      {TaskKind::arc, R"({"question":"q","choices":{"text":["a","b"],"label":["A","B"]},"answerKey":"C"})",
       "answerKey"},
      {TaskKind::winogrande, R"({"sentence":"no gap","option1":"a","option2":"b","answer":"1"})", "sentence"},
      {TaskKind::winogrande, R"({"sentence":"a _  ","option1":"a","option2":"b","answer":"1"})", "sentence"},
      {TaskKind::winogrande, R"({"sentence":"a _ b","option1":"a","option2":"b","answer":"3"})", "answer"},
      {TaskKind::winogrande, R"({"sentence":"a _ b","option1":"a","option2":"b","answer":1})", "answer"},
      {TaskKind::lambada, R"({"text":"word"})", "text"},
      {TaskKind::lambada, R"({"text":"ends in a space "})", "text"},
      {TaskKind::lambada, R"({})", "text"},
      {TaskKind::choices, R"({"context":"c","choices":["a","b"],"gold":0,"delimiter":1})", "delimiter"},
  };
  for (const auto& [kind, json, field] : cases) {
    const auto item = read(kind, json);
    ASSERT_FALSE(item.ok()) << json;
    EXPECT_EQ(item.error().field, field) << json << ": " << to_string(item.error());
  }
}

TEST(TaskKinds, NamesAreRead) {
  for (const char* name : {"piqa", "arc", "hellaswag", "winogrande", "lambada", "choices"})
    EXPECT_STREQ(to_string(parse_task_kind(name).value()), name);
  const auto unknown = parse_task_kind("mmlu");
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().fault, Fault::usage);
  EXPECT_NE(unknown.error().expected.find("choices"), std::string::npos);
}

}  // namespace
}  // namespace quernel::eval
