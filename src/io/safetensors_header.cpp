#include "io/safetensors_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <new>

#include "base/checked.h"
#include "base/json_reader.h"
#include "io/entry_checks.h"
#include "io/limits.h"

namespace quernel::io {
namespace {

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::string_view kMetadataKey = "__metadata__";

struct DTypeBits {
  std::string_view name;
  unsigned bits;
};
constexpr std::array<DTypeBits, 22> kDTypeBits = {{
    {"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
    {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
    {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
    {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64},
}};

// A tensor as the header states it, before its place is checked.
struct Stated {
  SafetensorsEntry entry;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint64_t header_offset = 0;  // of its name
};

class HeaderParser {
 public:
  HeaderParser(std::string_view json, const std::string& file_name) : reader_(json, file_name, kLengthBytes) {}

  Status parse() {
    std::string key;
    bool has_metadata = false;
    QUERNEL_TRY_STATUS(reader_.begin_object());
    while (true) {
      QUERNEL_TRY(const bool more, reader_.next_key(key));
      if (!more) break;
      if (key == kMetadataKey) {
        if (has_metadata) return reader_.error("duplicate key in the header").in_field(key);
        has_metadata = true;
        QUERNEL_TRY_STATUS(parse_metadata());
      } else {
        QUERNEL_TRY_STATUS(parse_entry(key));
      }
    }
    return reader_.finish();
  }

  std::vector<Stated> tensors;
  std::vector<std::pair<std::string, std::string>> metadata;

 private:
  Status parse_metadata() {
    std::string key;
    std::string value;
    std::vector<std::uint64_t> key_offsets;
    QUERNEL_TRY_STATUS(reader_.begin_object());
    while (true) {
      QUERNEL_TRY(const bool more, reader_.next_key(key));
      if (!more) break;
      if (metadata.size() >= kMaxMetadataEntries) return limit("metadata entries", kMaxMetadataEntries);
      key_offsets.push_back(reader_.token_offset());
      if (auto read = reader_.read_string(value); !read.ok()) {
        return std::move(read).error().in_field(fmt::format("{}.{}", kMetadataKey, key));
      }
      metadata.emplace_back(key, value);
    }
    return refuse_duplicate_metadata(key_offsets);
  }

  Status refuse_duplicate_metadata(const std::vector<std::uint64_t>& key_offsets) const {
    std::vector<std::size_t> order(metadata.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [this](std::size_t a, std::size_t b) {
      const int side = metadata[a].first.compare(metadata[b].first);
      return side != 0 ? side < 0 : a < b;
    });
    for (std::size_t i = 1; i < order.size(); ++i) {
      if (metadata[order[i - 1]].first != metadata[order[i]].first) continue;
      return Error(Fault::corrupt, "duplicate key in the metadata")
          .in_file(reader_.file())
          .in_field(metadata[order[i]].first)
          .at(key_offsets[order[i]]);
    }
    return ok_status();
  }

  Status parse_entry(const std::string& name) {
    if (tensors.size() >= kMaxTensorsPerFile) return limit("tensors in one file", kMaxTensorsPerFile);
    if (name.size() > kMaxTensorNameBytes) return limit("bytes of a tensor name", kMaxTensorNameBytes);
    if (!is_tensor_name(name)) return reader_.error("tensor name is empty or has control characters");
    Stated stated;
    stated.entry.name = name;
    stated.header_offset = reader_.token_offset();
    if (auto fields = parse_fields(stated); !fields.ok()) return std::move(fields).error().in_tensor(name);
    tensors.push_back(std::move(stated));
    return ok_status();
  }

  Status parse_fields(Stated& stated) {
    constexpr std::array<std::string_view, 3> kFields = {"dtype", "shape", "data_offsets"};
    std::array<bool, 3> seen{};
    std::string key;
    QUERNEL_TRY_STATUS(reader_.begin_object());
    while (true) {
      QUERNEL_TRY(const bool more, reader_.next_key(key));
      if (!more) break;
      const auto field = static_cast<std::size_t>(std::find(kFields.begin(), kFields.end(), key) - kFields.begin());
      if (field == kFields.size()) return reader_.error("unknown field of a tensor").in_field(key);
      if (seen[field]) return reader_.error("duplicate key in the header").in_field(key);
      seen[field] = true;
      auto parsed = field == 0   ? parse_dtype(stated.entry)
                    : field == 1 ? parse_shape(stated.entry.shape)
                                 : parse_data_offsets(stated);
      if (!parsed.ok()) return std::move(parsed).error().in_field(key);
    }
    for (std::size_t i = 0; i < kFields.size(); ++i) {
      if (!seen[i]) return reader_.error("tensor lacks a field").in_field(std::string(kFields[i]));
    }
    return ok_status();
  }

  Status parse_dtype(SafetensorsEntry& entry) {
    QUERNEL_TRY_STATUS(reader_.read_string(entry.dtype_name));
    if (safetensors_dtype_bits(entry.dtype_name) == 0) {
      Error error = reader_.error("unknown dtype");
      error.fault = Fault::unsupported;
      constexpr std::size_t kShown = 32;
      error.found = dump_json(Json(entry.dtype_name.substr(0, kShown)));
      return error;
    }
    entry.dtype = dtype_from_name(entry.dtype_name);
    return ok_status();
  }

  Status parse_shape(Shape& shape) {
    QUERNEL_TRY_STATUS(reader_.begin_array());
    while (true) {
      QUERNEL_TRY(const bool more, reader_.next_element());
      if (!more) return ok_status();
      if (shape.size() >= kMaxTensorRank) return limit("dimensions", kMaxTensorRank);
      QUERNEL_TRY(const std::uint64_t size, reader_.read_u64());
      const auto dimension = checked_cast<std::int64_t>(size);
      if (!dimension) return reader_.error("dimension does not fit 63 bits");
      shape.push_back(*dimension);
    }
  }

  Status parse_data_offsets(Stated& stated) {
    QUERNEL_TRY_STATUS(reader_.begin_array());
    for (std::uint64_t* bound : {&stated.begin, &stated.end}) {
      QUERNEL_TRY(const bool more, reader_.next_element());
      if (!more) return reader_.error("two offsets are needed");
      QUERNEL_TRY(*bound, reader_.read_u64());
    }
    QUERNEL_TRY(const bool more, reader_.next_element());
    if (more) return reader_.error("more than two offsets");
    return ok_status();
  }

  [[nodiscard]] Error limit(const char* what, std::size_t maximum) const {
    Error error = reader_.error(fmt::format("more than {} {}", maximum, what));
    error.fault = Fault::limit_exceeded;
    return error;
  }

  JsonReader reader_;
};

Error bad_entry(const Stated& stated, const std::string& file_name, const char* field, std::string message) {
  return Error(Fault::corrupt, std::move(message))
      .in_file(file_name)
      .in_tensor(stated.entry.name)
      .in_field(field)
      .at(stated.header_offset);
}

// The bytes that dtype and shape ask for are the bytes that the offsets give.
Status check_size(const Stated& stated, const std::string& file_name) {
  const auto elements = checked_num_elements(stated.entry.shape);
  const auto bits =
      elements ? checked_mul<std::uint64_t>(*elements, safetensors_dtype_bits(stated.entry.dtype_name)) : std::nullopt;
  if (!bits) return bad_entry(stated, file_name, "shape", "size of the tensor does not fit 64 bits");
  if (*bits % 8 != 0) return bad_entry(stated, file_name, "shape", "tensor does not end at a whole byte");
  if (stated.end < stated.begin) return bad_entry(stated, file_name, "data_offsets", "tensor ends before it begins");
  if (stated.end - stated.begin != *bits / 8) {
    return bad_entry(stated, file_name, "data_offsets", "size of the data is not that of dtype and shape")
        .expect(fmt::format("{} bytes", *bits / 8), fmt::format("{}", stated.end - stated.begin));
  }
  return ok_status();
}

// Tensors follow each other from the first byte of the data to the last byte of the file.
Status check_places(std::vector<Stated>& tensors, std::uint64_t data_bytes, std::uint64_t data_offset,
                    const std::string& file_name) {
  std::sort(tensors.begin(), tensors.end(), [](const Stated& a, const Stated& b) {
    if (a.begin != b.begin) return a.begin < b.begin;
    return a.end != b.end ? a.end < b.end : a.header_offset < b.header_offset;  // empty tensors share a place
  });
  std::uint64_t next = 0;
  for (Stated& stated : tensors) {
    QUERNEL_TRY_STATUS(check_size(stated, file_name));
    if (stated.begin != next) {
      return bad_entry(stated, file_name, "data_offsets",
                       stated.begin < next ? "data of two tensors overlaps" : "hole in the data before the tensor")
          .expect(fmt::format("begin at {}", next), fmt::format("{}", stated.begin));
    }
    if (stated.end > data_bytes) {
      return bad_entry(stated, file_name, "data_offsets", "tensor ends after the end of the file")
          .expect(fmt::format("at most {}", data_bytes), fmt::format("{}", stated.end));
    }
    next = stated.end;
    stated.entry.offset_bytes = data_offset + stated.begin;  // no wrap: end is inside the file
    stated.entry.size_bytes = stated.end - stated.begin;
  }
  if (next != data_bytes) {
    return Error(Fault::corrupt, "bytes after the last tensor")
        .in_file(file_name)
        .at(data_offset + next)
        .expect("end of file", fmt::format("{} more bytes", data_bytes - next));
  }
  return ok_status();
}

Status refuse_duplicate_names(const std::vector<Stated>& tensors, const std::string& file_name) {
  std::vector<const Stated*> order;
  order.reserve(tensors.size());
  for (const Stated& stated : tensors) order.push_back(&stated);
  std::sort(order.begin(), order.end(), [](const Stated* a, const Stated* b) {
    const int side = a->entry.name.compare(b->entry.name);
    return side != 0 ? side < 0 : a->header_offset < b->header_offset;
  });
  for (std::size_t i = 1; i < order.size(); ++i) {
    if (order[i - 1]->entry.name != order[i]->entry.name) continue;
    return Error(Fault::corrupt, "duplicate key in the header")
        .in_file(file_name)
        .in_tensor(order[i]->entry.name)
        .at(order[i]->header_offset);
  }
  return ok_status();
}

// The JSON text, once the length before it is known to be true.
Result<std::string_view> header_text(std::span<const std::byte> file, const std::string& file_name) {
  const auto at = [&](Error error, std::uint64_t offset) { return std::move(error).in_file(file_name).at(offset); };
  if (file.size() < kLengthBytes) {
    return at(Error(Fault::corrupt, "file ends inside the header length"), file.size())
        .expect("8 bytes", fmt::format("{}", file.size()));
  }
  std::uint64_t length = 0;
  for (std::size_t i = kLengthBytes; i-- > 0;) length = length << 8U | std::to_integer<std::uint64_t>(file[i]);
  if (length > kMaxSafetensorsHeaderBytes) {
    return at(Error(Fault::limit_exceeded, "header is too long, or this is not a safetensors file"), 0)
        .in_field("header length")
        .expect(fmt::format("at most {}", kMaxSafetensorsHeaderBytes), fmt::format("{}", length));
  }
  if (length > file.size() - kLengthBytes) {
    return at(Error(Fault::corrupt, "file ends inside the header"), file.size())
        .in_field("header length")
        .expect(fmt::format("{} bytes", length), fmt::format("{}", file.size() - kLengthBytes));
  }
  const auto* text = reinterpret_cast<const char*>(file.data() + kLengthBytes);
  if (length == 0 || text[0] != '{') {
    return at(Error(Fault::corrupt, "header does not begin with '{'"), kLengthBytes);
  }
  return std::string_view(text, static_cast<std::size_t>(length));
}

Result<SafetensorsHeader> parse_and_check(std::span<const std::byte> file, const std::string& file_name) {
  QUERNEL_TRY(const std::string_view text, header_text(file, file_name));
  HeaderParser parser(text, file_name);
  QUERNEL_TRY_STATUS(parser.parse());
  QUERNEL_TRY_STATUS(refuse_duplicate_names(parser.tensors, file_name));
  SafetensorsHeader header;
  header.data_offset_bytes = kLengthBytes + text.size();
  QUERNEL_TRY_STATUS(
      check_places(parser.tensors, file.size() - header.data_offset_bytes, header.data_offset_bytes, file_name));
  header.metadata = std::move(parser.metadata);
  header.entries.reserve(parser.tensors.size());
  for (Stated& stated : parser.tensors) header.entries.push_back(std::move(stated.entry));
  return header;
}

}  // namespace

const std::string* SafetensorsHeader::find_metadata(const std::string& key) const {
  const auto found =
      std::find_if(metadata.begin(), metadata.end(), [&key](const auto& pair) { return pair.first == key; });
  return found == metadata.end() ? nullptr : &found->second;
}

Result<SafetensorsHeader> parse_safetensors_header(std::span<const std::byte> file, const std::string& file_name) {
  try {
    return parse_and_check(file, file_name);
  } catch (const std::bad_alloc&) {
    return Error(Fault::out_of_memory, "no memory for the header").in_file(file_name);
  }
}

unsigned safetensors_dtype_bits(std::string_view dtype_name) {
  const auto* found = std::find_if(kDTypeBits.begin(), kDTypeBits.end(),
                                   [dtype_name](const DTypeBits& row) { return row.name == dtype_name; });
  return found == kDTypeBits.end() ? 0 : found->bits;
}

}  // namespace quernel::io
