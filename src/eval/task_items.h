// Files of tasks read into items: every line is checked, nothing is skipped but blank lines of JSONL.
//
// Formats  JSONL, one record a line; hellaswag: six lines an item, the last ended too, so that a file that was cut is
//          never taken for a whole one; piqa's labels: a line "0" or "1" an item, in the file whose name has
//          "-labels.lst" in place of ".jsonl"
// Limits   the constants below (docs/limits.md); JSON within base/json.h
// Errors   corrupt, not_found, limit_exceeded: message with the line, file, field, offset of the line or inside it;
//          not_found for labels that are missing; corrupt for a file that is still compressed, or has no items
// Threads  pure functions
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "eval/task_kinds.h"

namespace quernel::eval {

constexpr std::size_t kMaxTaskBytes = std::size_t{64} << 20;
constexpr std::size_t kMaxTaskLineBytes = std::size_t{256} << 10;
constexpr std::size_t kMaxTaskItems = std::size_t{1} << 20;

// What the files hold; labels only for piqa. The names are for errors.
struct TaskText {
  std::string_view content;
  std::string file;
  std::string_view labels;
  std::string labels_file;
};

Result<std::vector<TaskItem>> parse_task_items(TaskKind kind, const TaskText& text);
Result<std::vector<TaskItem>> read_task_items(TaskKind kind, const std::string& path);

std::string piqa_labels_path(const std::string& path);

}  // namespace quernel::eval
