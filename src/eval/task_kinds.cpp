#include "eval/task_kinds.h"

#include <algorithm>
#include <array>
#include <utility>

#include "eval/task_text.h"

namespace quernel::eval {

namespace {

constexpr std::array<std::pair<TaskKind, const char*>, 6> kNames{{{TaskKind::piqa, "piqa"},
                                                                  {TaskKind::arc, "arc"},
                                                                  {TaskKind::hellaswag, "hellaswag"},
                                                                  {TaskKind::winogrande, "winogrande"},
                                                                  {TaskKind::lambada, "lambada"},
                                                                  {TaskKind::choices, "choices"}}};

Error wrong(const char* what, const std::string& field, std::string expected, std::string found) {
  return Error(Fault::corrupt, what).in_field(field).expect(std::move(expected), std::move(found));
}

std::string question(const std::string& text) { return "Question: " + text + "\nAnswer:"; }

Status add_choice(TaskItem& item, const std::string& field, const std::string& delimiter, std::string_view text) {
  Choice choice;
  choice.continuation = delimiter;
  choice.continuation += text;
  const auto characters = count_characters(text);
  if (!characters) return wrong("text is not UTF-8", field, "UTF-8", "other bytes");
  if (*characters == 0) return wrong("nothing to score", field, "text", "an empty string");
  choice.characters = *characters;
  item.choices.push_back(std::move(choice));
  return ok_status();
}

Result<const Json*> find_array(const Json& object, const std::string& key) {
  const auto found = object.find(key);
  if (found == object.end()) return Error(Fault::not_found, "member is missing").in_field(key);
  if (!found->is_array()) return wrong("member has the wrong type", key, "array", found->type_name());
  if (found->size() > kMaxTaskChoices)
    return Error(Fault::limit_exceeded, "too many choices")
        .in_field(key)
        .expect(fmt::format("at most {}", kMaxTaskChoices), std::to_string(found->size()));
  return &*found;
}

Result<std::vector<std::string>> strings_of(const Json& object, const std::string& key) {
  QUERNEL_TRY(const Json* array, find_array(object, key));
  std::vector<std::string> strings;
  for (const Json& value : *array) {
    if (!value.is_string())
      return wrong("member has the wrong type", fmt::format("{}[{}]", key, strings.size()), "string",
                   value.type_name());
    strings.push_back(value.get<std::string>());
  }
  return strings;
}

Status add_choices(TaskItem& item, const std::string& key, const std::string& delimiter,
                   const std::vector<std::string>& texts) {
  constexpr std::size_t kFewest = 2;
  if (texts.size() < kFewest)
    return wrong("too few choices", key, fmt::format("{} or more", kFewest), std::to_string(texts.size()));
  for (std::size_t i = 0; i < texts.size(); ++i)
    QUERNEL_TRY_STATUS(add_choice(item, fmt::format("{}[{}]", key, i), delimiter, texts[i]));
  return ok_status();
}

Status read_gold(TaskItem& item, const Json& record) {
  QUERNEL_TRY(const std::int64_t gold, json_int(record, "gold"));
  if (gold < 0 || std::cmp_greater_equal(gold, item.choices.size()))
    return wrong("no such choice", "gold", fmt::format("0..{}", item.choices.size() - 1), std::to_string(gold));
  item.gold = static_cast<std::size_t>(gold);
  return ok_status();
}

Result<TaskItem> piqa_item(const Json& record) {
  TaskItem item;
  QUERNEL_TRY(const std::string goal, json_string(record, "goal"));
  item.context = question(goal);
  for (const char* key : {"sol1", "sol2"}) {
    QUERNEL_TRY(const std::string solution, json_string(record, key));
    QUERNEL_TRY_STATUS(add_choice(item, key, " ", solution));
  }
  return item;
}

// Choices with labels, as the data set is published.
Status read_labelled(TaskItem& item, const Json& record) {
  const Json& choices = record["choices"];
  QUERNEL_TRY(const auto texts, strings_of(choices, "text"));
  QUERNEL_TRY(const auto labels, strings_of(choices, "label"));
  if (labels.size() != texts.size())
    return wrong("not a label for each choice", "label", std::to_string(texts.size()), std::to_string(labels.size()));
  QUERNEL_TRY_STATUS(add_choices(item, "text", " ", texts));
  QUERNEL_TRY(const std::string key, json_string(record, "answerKey"));
  const auto found = std::find(labels.begin(), labels.end(), key);
  if (found == labels.end()) return wrong("no such choice", "answerKey", "one of the labels", "'" + key + "'");
  item.gold = static_cast<std::size_t>(found - labels.begin());
  return ok_status();
}

Result<TaskItem> arc_item(const Json& record) {
  TaskItem item;
  QUERNEL_TRY(const std::string text, json_string(record, "question"));
  item.context = question(text);
  if (record.contains("choices") && record["choices"].is_object()) {
    QUERNEL_TRY_STATUS(read_labelled(item, record));
    return item;
  }
  QUERNEL_TRY(const auto texts, strings_of(record, "choices"));
  QUERNEL_TRY_STATUS(add_choices(item, "choices", " ", texts));
  QUERNEL_TRY_STATUS(read_gold(item, record));
  return item;
}

// Partial evaluation: the option ends the context, and what follows it is scored.
Result<TaskItem> winogrande_item(const Json& record) {
  TaskItem item;
  QUERNEL_TRY(const std::string sentence, json_string(record, "sentence"));
  const std::size_t gap = sentence.find('_');
  if (gap == std::string::npos) return wrong("sentence without a gap", "sentence", "a '_'", "none");
  item.context = sentence.substr(0, gap);
  const std::string_view rest = strip(std::string_view(sentence).substr(gap + 1));
  for (const char* key : {"option1", "option2"}) {
    QUERNEL_TRY(std::string option, json_string(record, key));
    QUERNEL_TRY_STATUS(add_choice(item, "sentence", " ", rest));
    item.choices.back().lead = std::move(option);
  }
  QUERNEL_TRY(const std::string answer, json_string(record, "answer"));
  if (answer != "1" && answer != "2") return wrong("no such choice", "answer", "\"1\" or \"2\"", "'" + answer + "'");
  item.gold = answer == "1" ? 0 : 1;
  return item;
}

Result<TaskItem> lambada_item(const Json& record) {
  TaskItem item;
  QUERNEL_TRY(const std::string text, json_string(record, "text"));
  const std::size_t space = text.rfind(' ');
  if (space == std::string::npos) return wrong("no last word", "text", "a space before the last word", "none");
  item.context = text.substr(0, space);
  QUERNEL_TRY_STATUS(add_choice(item, "text", " ", std::string_view(text).substr(space + 1)));
  return item;
}

Result<TaskItem> generic_item(const Json& record) {
  TaskItem item;
  QUERNEL_TRY(item.context, json_string(record, "context"));
  QUERNEL_TRY(const std::string delimiter, json_string_or(record, "delimiter", " "));
  QUERNEL_TRY(const auto texts, strings_of(record, "choices"));
  QUERNEL_TRY_STATUS(add_choices(item, "choices", delimiter, texts));
  QUERNEL_TRY_STATUS(read_gold(item, record));
  return item;
}

}  // namespace

const char* to_string(TaskKind kind) {
  for (const auto& [each, name] : kNames)
    if (each == kind) return name;
  QUERNEL_CHECK(false, "a kind of task without a name");
  return "";
}

Result<TaskKind> parse_task_kind(const std::string& name) {
  std::string known;
  for (const auto& [kind, each] : kNames) {
    if (name == each) return kind;
    known += (known.empty() ? "" : ", ") + std::string(each);
  }
  return Error(Fault::usage, "unknown kind of task").in_field("--task").expect(known, "'" + name + "'");
}

Result<TaskItem> item_of_record(TaskKind kind, const Json& record) {
  switch (kind) {
    case TaskKind::piqa: return piqa_item(record);
    case TaskKind::arc: return arc_item(record);
    case TaskKind::winogrande: return winogrande_item(record);
    case TaskKind::lambada: return lambada_item(record);
    case TaskKind::choices: return generic_item(record);
    case TaskKind::hellaswag: break;
  }
  QUERNEL_CHECK(false, "{} has no JSON records", to_string(kind));
  return TaskItem{};
}

Result<TaskItem> hellaswag_item(std::span<const std::string_view, kHellaswagLines> lines) {
  TaskItem item;
  item.context = std::string(lines[0]);
  if (!count_characters(lines[0])) return wrong("text is not UTF-8", "context", "UTF-8", "other bytes");
  const std::string_view gold = lines[1];
  if (gold.size() != 1 || gold[0] < '0' || gold[0] > '3') {
    constexpr std::size_t kShown = 20;
    return wrong("no such choice", "gold", "0..3", fmt::format("'{}'", gold.substr(0, kShown)));
  }
  item.gold = static_cast<std::size_t>(gold[0] - '0');
  for (std::size_t i = 2; i < lines.size(); ++i)
    QUERNEL_TRY_STATUS(add_choice(item, fmt::format("ending {}", i - 2), " ", lines[i]));
  return item;
}

}  // namespace quernel::eval
