// Files of tasks: never crashes, says where, and what it accepts can be scored. The first byte is the kind; piqa's
// labels follow the first NUL.
#include <algorithm>
#include <string>

#include "eval/task_items.h"
#include "eval/task_text.h"
#include "fuzz.h"

using quernel::eval::count_characters;
using quernel::eval::TaskItem;
using quernel::eval::TaskKind;
using quernel::eval::TaskText;
using quernel::fuzz::expect;

namespace {

constexpr std::uint8_t kKinds = 6;

void check_item(TaskKind kind, const TaskItem& item) {
  expect(item.line >= 1, "an item has a line");
  expect(item.gold < item.choices.size(), "gold is one of the choices");
  expect(item.choices.size() <= quernel::eval::kMaxTaskChoices, "choices stay within their limit");
  expect((item.choices.size() == 1) == (kind == TaskKind::lambada), "choices to choose from");
  expect(count_characters(item.context).has_value(), "the context is UTF-8");
  for (const auto& choice : item.choices) {
    const auto characters = count_characters(choice.continuation);
    expect(characters.has_value() && count_characters(choice.lead).has_value(), "choices are UTF-8");
    expect(choice.characters >= 1 && choice.characters <= *characters, "a choice has characters to divide by");
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto kind = static_cast<TaskKind>(data[0] % kKinds);
  const std::string_view rest = quernel::fuzz::as_text(data, size).substr(1);
  const std::size_t split = kind == TaskKind::piqa ? std::min(rest.find('\0'), rest.size()) : rest.size();
  TaskText text{rest.substr(0, split), "t", rest.substr(std::min(split + 1, rest.size())), "labels"};
  const auto items = parse_task_items(kind, text);
  if (!items.ok()) {
    const quernel::Error& error = items.error();
    expect(error.file == "t" || error.file == "labels", "an error names its file");
    expect(!error.offset || *error.offset <= size, "an offset is inside the file");
    return 0;
  }
  expect(!items->empty(), "a task has items");
  for (const TaskItem& item : *items) check_item(kind, item);
  text.content.remove_suffix(1);
  const auto cut = parse_task_items(kind, text);
  expect(!cut.ok() || cut->size() <= items->size(), "a file that is cut has no more items");
  return 0;
}
