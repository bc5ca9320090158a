#include "calib/text_source.h"

#include <algorithm>
#include <string_view>

#include "base/json.h"
#include "base/sha256.h"
#include "calib/corpus.h"
#include "calib/utf8_check.h"
#include "sys/mapped_file.h"

namespace quernel::calib {

namespace {

constexpr std::string_view kDocumentBreak = "\n\n";
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool is_blank(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v'; });
}

std::string file_name(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

// Joins documents and watches the limit.
class Collector {
 public:
  explicit Collector(const TextOptions& options) : options_(options) {}

  Status add(std::string_view document) {
    const std::size_t separator = text_.empty() ? 0 : kDocumentBreak.size();
    if (document.size() + separator > options_.max_bytes - std::min(text_.size(), options_.max_bytes)) {
      Error error(Fault::limit_exceeded, "calibration text is too large");
      return std::move(error)
          .expect(fmt::format("at most {} bytes", options_.max_bytes),
                  fmt::format("{} bytes so far", text_.size() + separator + document.size()))
          .with_hint("calibration uses samples x length tokens only: give a part of the text");
    }
    if (separator != 0) text_ += kDocumentBreak;
    text_ += document;
    ++num_documents_;
    return ok_status();
  }

  std::string take_text() { return std::move(text_); }
  [[nodiscard]] std::int64_t num_documents() const { return num_documents_; }

 private:
  const TextOptions& options_;
  std::string text_;
  std::int64_t num_documents_ = 0;
};

std::string describe_fields(const Json& record) {
  if (!record.is_object()) return std::string("a JSON ") + record.type_name();
  std::string names;
  for (const auto& item : record.items()) {
    if (names.size() > 200) return names + ", ...";
    names += (names.empty() ? "fields " : ", ") + item.key();
  }
  return names.empty() ? "an object without fields" : names;
}

// Text of one JSONL line.
Result<std::string> record_text(std::string_view line, const std::string& path, std::size_t offset,
                                const std::string& field) {
  Result<Json> parsed = parse_json(line, path);
  if (!parsed.ok()) {
    Error error = std::move(parsed).error();
    error.offset = offset + error.offset.value_or(0);
    return error;
  }
  const Json& record = *parsed;
  if (!record.is_object() || !record.contains(field) || !record[field].is_string()) {
    Error error(Fault::invalid_argument, "a JSONL record has no text where it was looked for");
    return std::move(error)
        .in_file(path)
        .in_field(field)
        .at(offset)
        .expect(fmt::format("an object with the string field \"{}\"", field), describe_fields(record))
        .with_hint("name the field that holds the text");
  }
  return record[field].get<std::string>();
}

Status add_jsonl(std::string_view content, const std::string& path, const std::string& field, Collector& collector) {
  std::size_t offset = 0;
  while (offset < content.size()) {
    const std::size_t end = std::min(content.find('\n', offset), content.size());
    const std::string_view line = content.substr(offset, end - offset);
    if (!is_blank(line)) {
      QUERNEL_TRY(const std::string text, record_text(line, path, offset, field));
      if (!is_blank(text)) QUERNEL_TRY_STATUS(collector.add(text));
    }
    offset = end + 1;
  }
  return ok_status();
}

Status add_file(const std::string& path, const TextOptions& options, Collector& collector) {
  QUERNEL_TRY(const sys::MappedFile file, sys::MappedFile::open(path, sys::Access::sequential));
  const std::span<const std::byte> bytes = file.bytes();
  if (bytes.size() > options.max_bytes) {
    Error error(Fault::limit_exceeded, "calibration file is too large");
    return std::move(error)
        .in_file(path)
        .expect(fmt::format("at most {} bytes", options.max_bytes), fmt::format("{} bytes", bytes.size()))
        .with_hint("calibration uses samples x length tokens only: give a part of the text");
  }
  std::string_view content(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (const auto invalid = first_invalid_utf8(content)) {
    Error error(Fault::invalid_argument, "calibration text is not UTF-8");
    return std::move(error)
        .in_file(path)
        .at(*invalid)
        .expect("a well-formed UTF-8 sequence",
                fmt::format("byte 0x{:02x}", static_cast<unsigned char>(content[*invalid])))
        .with_hint("convert the file, for example with iconv -t UTF-8");
  }
  if (content.starts_with(kByteOrderMark)) content.remove_prefix(kByteOrderMark.size());
  if (is_blank(content)) {
    Error error(Fault::invalid_argument, "calibration file holds no text");
    return std::move(error).in_file(path).expect("text", fmt::format("{} bytes, all blank", bytes.size()));
  }
  const std::int64_t before = collector.num_documents();
  QUERNEL_TRY_STATUS(path.ends_with(".jsonl") ? add_jsonl(content, path, options.jsonl_field, collector)
                                              : collector.add(content));
  if (collector.num_documents() == before) {
    Error error(Fault::invalid_argument, "calibration file holds no text");
    return std::move(error).in_file(path).in_field(options.jsonl_field).expect("text", "empty strings only");
  }
  return ok_status();
}

}  // namespace

Result<CalibrationText> load_text(std::span<const std::string> sources, const TextOptions& options) {
  if (sources.empty()) return Error(Fault::invalid_argument, "no calibration text was named");
  CalibrationText result;
  Collector collector(options);
  for (const std::string& source : sources) {
    result.name += (result.name.empty() ? "" : ",") + (is_builtin_name(source) ? source : file_name(source));
    if (is_builtin_name(source)) {
      QUERNEL_TRY(const BuiltinCorpus corpus, find_builtin(source));
      QUERNEL_TRY_STATUS(collector.add(corpus.text));
    } else {
      QUERNEL_TRY_STATUS(add_file(source, options, collector));
    }
  }
  result.num_documents = collector.num_documents();
  result.text = collector.take_text();
  result.sha256 = sha256_hex(result.text);
  return result;
}

}  // namespace quernel::calib
