#include "calib/text_source.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/sha256.h"
#include "support/temp_folder.h"

namespace quernel::calib {
namespace {

using test::write_text;
using std::string_literals::operator""s;

Result<CalibrationText> load(const std::vector<std::string>& sources, const TextOptions& options = {}) {
  return load_text(sources, options);
}

TEST(TextSource, JoinsFilesInOrder) {
  const test::TempFolder folder;
  write_text(folder / "b.txt", "second file");
  write_text(folder / "a.utf8",
             "\xEF\xBB\xBF"
             "first file\n");
  const auto text = load({folder / "a.utf8", folder / "b.txt"});
  ASSERT_TRUE(text.ok()) << to_string(text.error());
  EXPECT_EQ(text->text, "first file\n\n\nsecond file");
  EXPECT_EQ(text->name, "a.utf8,b.txt");
  EXPECT_EQ(text->num_documents, 2);
  EXPECT_EQ(text->sha256, sha256_hex(text->text));
}

TEST(TextSource, ReadsOneFieldOfJsonl) {
  const test::TempFolder folder;
  write_text(folder / "d.jsonl",
             "{\"text\": \"one\", \"body\": \"eins\"}\n\n  \r\n{\"body\": \"zw\\u00f6lf\", \"text\": \"two\\nlines\"}");
  auto text = load({folder / "d.jsonl"});
  ASSERT_TRUE(text.ok()) << to_string(text.error());
  EXPECT_EQ(text->text, "one\n\ntwo\nlines");
  EXPECT_EQ(text->num_documents, 2);
  TextOptions options;
  options.jsonl_field = "body";
  text = load({folder / "d.jsonl"}, options);
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(text->text, "eins\n\nzw\xC3\xB6lf");
}

TEST(TextSource, NamesTheRecordWithoutTheField) {
  const test::TempFolder folder;
  const std::string first = "{\"text\": \"one\"}\n";
  for (const char* second : {R"({"content": "x", "id": 3})", R"({"text": 5})", R"(["text"])", R"("text")"}) {
    write_text(folder / "d.jsonl", first + second + "\n");
    const auto text = load({folder / "d.jsonl"});
    ASSERT_FALSE(text.ok()) << second;
    EXPECT_EQ(text.error().fault, Fault::invalid_argument);
    EXPECT_EQ(text.error().field, "text");
    EXPECT_EQ(text.error().offset, first.size());
    EXPECT_EQ(text.error().file, folder / "d.jsonl");
  }
  write_text(folder / "d.jsonl", first + "{\"text\": \"cut");
  const auto text = load({folder / "d.jsonl"});
  ASSERT_FALSE(text.ok());
  EXPECT_EQ(text.error().fault, Fault::corrupt);
  EXPECT_GE(text.error().offset.value_or(0), first.size());
}

TEST(TextSource, RefusesWhatIsNotUtf8WithTheOffset) {
  const test::TempFolder folder;
  write_text(folder / "latin1.txt", "caf\xE9 au lait");
  const auto text = load({folder / "latin1.txt"});
  ASSERT_FALSE(text.ok());
  EXPECT_EQ(text.error().fault, Fault::invalid_argument);
  EXPECT_EQ(text.error().offset, 3U);
  EXPECT_EQ(text.error().found, "byte 0xe9");
}

TEST(TextSource, RefusesEmptyFiles) {
  const test::TempFolder folder;
  write_text(folder / "full.txt", "text");
  for (const std::string& content : {""s, " \n\t\r\n"s, "\xEF\xBB\xBF"s, "\xEF\xBB\xBF \n"s}) {
    write_text(folder / "empty.txt", content);
    const auto text = load({folder / "full.txt", folder / "empty.txt"});
    ASSERT_FALSE(text.ok());
    EXPECT_EQ(text.error().fault, Fault::invalid_argument);
    EXPECT_EQ(text.error().file, folder / "empty.txt");
  }
  write_text(folder / "empty.jsonl", "{\"text\": \"\"}\n{\"text\": \" \"}\n");
  EXPECT_FALSE(load({folder / "empty.jsonl"}).ok());
  EXPECT_FALSE(load({}).ok());
}

TEST(TextSource, HoldsTheLimit) {
  const test::TempFolder folder;
  write_text(folder / "a.txt", std::string(60, 'a'));
  write_text(folder / "b.txt", std::string(39, 'b'));
  TextOptions options;
  options.max_bytes = 101;  // 60 + 2 + 39
  EXPECT_TRUE(load({folder / "a.txt", folder / "b.txt"}, options).ok());
  options.max_bytes = 100;
  const auto text = load({folder / "a.txt", folder / "b.txt"}, options);
  ASSERT_FALSE(text.ok());
  EXPECT_EQ(text.error().fault, Fault::limit_exceeded);
  options.max_bytes = 59;
  EXPECT_FALSE(load({folder / "a.txt"}, options).ok());
}

TEST(TextSource, PassesOnWhatTheSystemSays) {
  const test::TempFolder folder;
  const auto missing = load({folder / "nothing.txt"});
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().fault, Fault::not_found);
  EXPECT_FALSE(load({folder.path()}).ok());
}

TEST(TextSource, TakesBuiltInNames) {
  const auto text = load({"builtin:mixed-v1"});
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(text->name, "builtin:mixed-v1");
  const auto unknown = load({"builtin:mixed-v0"});
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().fault, Fault::not_found);
  EXPECT_EQ(unknown.error().expected, "builtin:mixed-v1");
}

}  // namespace
}  // namespace quernel::calib
