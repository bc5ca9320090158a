// What a kind of task means: one record of its file becomes the texts that a model scores.
//
// kind        record                               context                          continuation of a choice
// piqa        goal, sol1, sol2                     "Question: {goal}\nAnswer:"      " {sol1}"
// arc         question, choices, gold              "Question: {question}\nAnswer:"  " {choice}"
// hellaswag   six lines: context, gold, 4 endings  {context} as it is               " {ending}"
// winogrande  sentence with _, option1, option2,   {before _}{option1}              " {behind _, stripped}", the same
//             answer ("1", "2")                                                     for both options
// lambada     text                                 {before the last space}          " {last word}", the only one
// choices     context, choices, gold, delimiter    {context}                        "{delimiter}{choice}"; default " "
//
// Source   the task definitions of lm-evaluation-harness 0.4. arc also takes the data set's own form: choices as
//          {"text": [...], "label": [...]} with the label in answerKey. Members that are not listed are ignored.
// Errors   corrupt, not_found (a member is missing), limit_exceeded (choices); all name the field
// Threads  pure functions
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace quernel::eval {

constexpr std::size_t kMaxTaskChoices = 64;

enum class TaskKind { piqa, arc, hellaswag, winogrande, lambada, choices };

const char* to_string(TaskKind kind);
Result<TaskKind> parse_task_kind(const std::string& name);  // usage

struct Choice {
  std::string lead;             // ends the context of this choice (winogrande); else empty
  std::string continuation;     // what is scored, delimiter included
  std::int64_t characters = 0;  // of the choice's own text, without delimiter: what acc_norm divides by; at least 1
};

struct TaskItem {
  std::string context;
  std::vector<Choice> choices;  // lambada: one; else 2 or more
  std::size_t gold = 0;         // below choices.size()
  std::int64_t line = 0;        // of its record's first line in the file
};

// One record of a JSONL kind (all but hellaswag). piqa: gold is 0, since its labels stand in a file of their own.
Result<TaskItem> item_of_record(TaskKind kind, const Json& record);

constexpr std::size_t kHellaswagLines = 6;
Result<TaskItem> hellaswag_item(std::span<const std::string_view, kHellaswagLines> lines);

}  // namespace quernel::eval
