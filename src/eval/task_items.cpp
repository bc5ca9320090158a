#include "eval/task_items.h"

#include <array>
#include <optional>
#include <utility>

#include "eval/task_text.h"
#include "sys/mapped_file.h"

namespace quernel::eval {

namespace {

// An error of a line, with the place of that line.
Error on_line(Error error, const Line& line, const std::string& file) {
  error.message = fmt::format("line {}: {}", line.number, error.message);
  error.offset = line.offset + error.offset.value_or(0);
  return std::move(error).in_file(file);
}

Error too_large(const char* what, std::size_t limit, std::size_t found) {
  return Error(Fault::limit_exceeded, what).expect(fmt::format("at most {}", limit), std::to_string(found));
}

Status check_line(const Line& line, const std::string& file) {
  if (line.text.size() <= kMaxTaskLineBytes) return ok_status();
  return on_line(too_large("too long", kMaxTaskLineBytes, line.text.size()), line, file);
}

Status check_content(std::string_view content, const std::string& file) {
  if (content.size() > kMaxTaskBytes)
    return too_large("task file is too large", kMaxTaskBytes, content.size()).in_file(file);
  const bool is_bzip2 = content.starts_with("BZh") && content.substr(0, 10).ends_with("1AY&SY");
  if (!is_bzip2) return ok_status();
  return Error(Fault::corrupt, "task file is compressed")
      .in_file(file)
      .at(0)
      .expect("text", "bzip2")
      .with_hint("decompress it first: bunzip2 -k " + file);
}

Result<TaskItem> read_record(TaskKind kind, const Line& line, const std::string& file) {
  auto record = parse_json(line.text, file);
  if (!record.ok()) return on_line(std::move(record).error(), line, file);
  auto item = item_of_record(kind, *record);
  if (!item.ok()) return on_line(std::move(item).error(), line, file);
  return item;
}

Result<std::vector<TaskItem>> parse_jsonl(TaskKind kind, const TaskText& text) {
  std::vector<TaskItem> items;
  LineCursor cursor(text.content);
  while (const std::optional<Line> line = cursor.next()) {
    QUERNEL_TRY_STATUS(check_line(*line, text.file));
    if (strip(line->text).empty()) continue;
    if (items.size() == kMaxTaskItems)
      return on_line(too_large("too many items", kMaxTaskItems, items.size() + 1), *line, text.file);
    QUERNEL_TRY(TaskItem item, read_record(kind, *line, text.file));
    item.line = line->number;
    items.push_back(std::move(item));
  }
  return items;
}

// The labels of all items, in their order.
Status read_labels(std::vector<TaskItem>& items, const TaskText& text) {
  LineCursor cursor(text.labels);
  std::size_t count = 0;
  while (const std::optional<Line> line = cursor.next()) {
    const auto refuse = [&](std::string expected, std::string found) {
      Error error(Fault::corrupt, "label");
      return on_line(std::move(error).in_field("label").expect(std::move(expected), std::move(found)), *line,
                     text.labels_file);
    };
    constexpr std::size_t kShown = 20;
    if (line->text != "0" && line->text != "1")
      return refuse("0 or 1", fmt::format("'{}'", line->text.substr(0, kShown)));
    if (count == items.size()) return refuse(fmt::format("{} labels, one an item", items.size()), "more");
    items[count++].gold = line->text == "1" ? 1 : 0;
  }
  if (count == items.size()) return ok_status();
  return Error(Fault::corrupt, "labels are missing")
      .in_file(text.labels_file)
      .in_field("label")
      .at(text.labels.size())
      .expect(fmt::format("{}, one an item of {}", items.size(), text.file), std::to_string(count));
}

Error cut_short(const Line& line, std::size_t part, const std::string& file) {
  constexpr std::array<const char*, kHellaswagLines> kParts{"context",  "gold",     "ending 0",
                                                            "ending 1", "ending 2", "ending 3"};
  Error error(Fault::corrupt, "the file ends inside an item");
  return on_line(std::move(error)
                     .in_field(kParts[part])
                     .expect("six lines, each with a line break at its end", "the end of the file")
                     .with_hint("where the last line is whole, end it with a line break"),
                 line, file);
}

Result<std::vector<TaskItem>> parse_hellaswag(const TaskText& text) {
  std::vector<TaskItem> items;
  std::array<std::string_view, kHellaswagLines> lines;
  std::size_t part = 0;
  Line first;
  Line last;
  LineCursor cursor(text.content);
  while (const std::optional<Line> line = cursor.next()) {
    QUERNEL_TRY_STATUS(check_line(*line, text.file));
    if (!line->ended) return cut_short(*line, part, text.file);
    last = *line;
    if (part == 0) first = *line;
    lines[part++] = line->text;
    if (part < kHellaswagLines) continue;
    if (items.size() == kMaxTaskItems)
      return on_line(too_large("too many items", kMaxTaskItems, items.size() + 1), first, text.file);
    auto item = hellaswag_item(lines);
    if (!item.ok()) return on_line(std::move(item).error(), first, text.file);
    item->line = first.number;
    items.push_back(std::move(item).value());
    part = 0;
  }
  if (part != 0) return cut_short(last, part, text.file);
  return items;
}

Result<sys::MappedFile> open_labels(const std::string& path) {
  auto opened = sys::MappedFile::open(path, sys::Access::sequential);
  if (opened.ok() || opened.error().fault != Fault::not_found) return opened;
  return std::move(opened).error().with_hint("piqa's labels, a line \"0\" or \"1\" an item, stand beside its .jsonl");
}

}  // namespace

Result<std::vector<TaskItem>> parse_task_items(TaskKind kind, const TaskText& text) {
  QUERNEL_TRY_STATUS(check_content(text.content, text.file));
  QUERNEL_TRY(std::vector<TaskItem> items,
              kind == TaskKind::hellaswag ? parse_hellaswag(text) : parse_jsonl(kind, text));
  if (kind == TaskKind::piqa) QUERNEL_TRY_STATUS(read_labels(items, text));
  if (items.empty()) return Error(Fault::corrupt, "no items").in_file(text.file).expect("one or more", "none");
  return items;
}

Result<std::vector<TaskItem>> read_task_items(TaskKind kind, const std::string& path) {
  QUERNEL_TRY(const sys::MappedFile file, sys::MappedFile::open(path, sys::Access::sequential));
  sys::MappedFile labels;
  if (kind == TaskKind::piqa) {
    QUERNEL_TRY(labels, open_labels(piqa_labels_path(path)));
  }
  return parse_task_items(kind, {file.text(), path, labels.text(), labels.path()});
}

std::string piqa_labels_path(const std::string& path) {
  constexpr std::string_view kSuffix = ".jsonl";
  const std::string stem = path.ends_with(kSuffix) ? path.substr(0, path.size() - kSuffix.size()) : path;
  return stem + "-labels.lst";
}

}  // namespace quernel::eval
