#include "io/gguf_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>
#include <numeric>
#include <utility>

#include "base/checked.h"
#include "base/json.h"
#include "io/byte_cursor.h"
#include "io/entry_checks.h"
#include "io/limits.h"

namespace quernel::io {
namespace {

static_assert(std::endian::native == std::endian::little, "files are read in place");

constexpr std::string_view kMagic = "GGUF";
constexpr std::uint32_t kBigEndianVersions[] = {0x01000000, 0x02000000, 0x03000000};
constexpr std::string_view kAlignmentKey = "general.alignment";
constexpr std::string_view kSplitCountKey = "split.count";
constexpr std::uint64_t kDefaultAlignment = 32;

std::string shown(std::string_view text) {
  constexpr std::size_t kShown = 80;
  return dump_json(Json(std::string(text.substr(0, kShown))));
}

class Parser {
 public:
  Parser(std::span<const std::byte> file, const std::string& file_name)
      : file_(file), file_name_(file_name), cursor_(file, file_name) {}

  Result<GgufHeader> parse() {
    QUERNEL_TRY_STATUS(parse_preamble());
    QUERNEL_TRY_STATUS(parse_metadata());
    QUERNEL_TRY_STATUS(interpret_metadata());
    for (std::uint64_t i = 0; i < num_tensors_; ++i) {
      QUERNEL_TRY_STATUS(parse_tensor());
    }
    QUERNEL_TRY_STATUS(refuse_duplicate_tensors());
    QUERNEL_TRY_STATUS(place_data());
    return std::move(header_);
  }

 private:
  Status parse_preamble() {
    QUERNEL_TRY(const auto magic, cursor_.take(kMagic.size(), "the magic"));
    if (std::memcmp(magic.data(), kMagic.data(), kMagic.size()) != 0) {
      return cursor_.error(Fault::corrupt, "not a GGUF file", 0)
          .expect("\"GGUF\"", shown({reinterpret_cast<const char*>(magic.data()), magic.size()}));
    }
    QUERNEL_TRY(header_.version, cursor_.read<std::uint32_t>("the version"));
    if (std::find(std::begin(kBigEndianVersions), std::end(kBigEndianVersions), header_.version) !=
        std::end(kBigEndianVersions)) {
      return cursor_.error(Fault::unsupported, "big-endian GGUF files cannot be read", kMagic.size())
          .in_field("version")
          .with_hint("convert the file on a little-endian machine");
    }
    if (header_.version != 2 && header_.version != 3) {
      return cursor_.error(Fault::unsupported, "version of GGUF cannot be read", kMagic.size())
          .in_field("version")
          .expect("2 or 3", fmt::format("{}", header_.version));
    }
    QUERNEL_TRY_STATUS(read_count(num_tensors_, "tensor count", kMaxTensorsPerFile));
    return read_count(num_pairs_, "metadata count", kMaxGgufMetadata);
  }

  Status read_count(std::uint64_t& count, const char* field, std::uint64_t maximum) {
    const std::uint64_t offset = cursor_.position();
    QUERNEL_TRY(count, cursor_.read<std::uint64_t>(field));
    if (count <= maximum) return ok_status();
    return cursor_.error(Fault::limit_exceeded, "count is too large", offset)
        .in_field(field)
        .expect(fmt::format("at most {}", maximum), fmt::format("{}", count));
  }

  Status parse_metadata() {
    std::vector<GgufPair> pairs;
    for (std::uint64_t i = 0; i < num_pairs_; ++i) {
      const std::uint64_t offset = cursor_.position();
      GgufPair pair;
      QUERNEL_TRY(pair.key, cursor_.text(kMaxGgufKeyBytes, "a metadata key"));
      const bool has_control = std::any_of(pair.key.begin(), pair.key.end(),
                                           [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
      if (pair.key.empty() || has_control) {
        return cursor_.error(Fault::corrupt, "metadata key is empty or has control characters", offset)
            .in_field(shown(pair.key));
      }
      if (auto parsed = parse_value(pair.value); !parsed.ok()) {
        return std::move(parsed).error().in_field(std::string(pair.key));
      }
      key_offsets_.push_back(offset);
      pairs.push_back(pair);
    }
    QUERNEL_TRY_STATUS(refuse_duplicate_keys(pairs));
    header_.metadata = GgufMetadata(std::move(pairs), file_name_);
    return ok_status();
  }

  Status refuse_duplicate_keys(const std::vector<GgufPair>& pairs) const {
    std::vector<std::size_t> order(pairs.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&pairs](std::size_t a, std::size_t b) {
      return pairs[a].key != pairs[b].key ? pairs[a].key < pairs[b].key : a < b;
    });
    for (std::size_t i = 1; i < order.size(); ++i) {
      if (pairs[order[i - 1]].key != pairs[order[i]].key) continue;
      return cursor_.error(Fault::corrupt, "duplicate metadata key", key_offsets_[order[i]])
          .in_field(std::string(pairs[order[i]].key));
    }
    return ok_status();
  }

  Result<GgufKind> parse_kind() {
    const std::uint64_t offset = cursor_.position();
    QUERNEL_TRY(const auto number, cursor_.read<std::uint32_t>("the kind of a metadata value"));
    if (number < kNumGgufKinds) return static_cast<GgufKind>(number);
    return cursor_.error(Fault::corrupt, "unknown kind of metadata value", offset)
        .expect(fmt::format("0 to {}", kNumGgufKinds - 1), fmt::format("{}", number));
  }

  Status parse_value(GgufValue& value) {
    QUERNEL_TRY(value.kind, parse_kind());
    if (value.kind == GgufKind::array) return parse_array(value);
    if (value.kind == GgufKind::string) {
      QUERNEL_TRY(const std::string_view text, cursor_.text(kMaxGgufStringBytes, "a metadata string"));
      value.offset_bytes = cursor_.position() - text.size();
      value.bytes = std::as_bytes(std::span(text));
      return ok_status();
    }
    value.offset_bytes = cursor_.position();
    QUERNEL_TRY(value.bytes, cursor_.take(scalar_bytes(value.kind), "a metadata value"));
    return value.kind == GgufKind::boolean ? check_booleans(value) : ok_status();
  }

  Status check_booleans(const GgufValue& value) const {
    const auto wrong =
        std::find_if(value.bytes.begin(), value.bytes.end(), [](std::byte b) { return b > std::byte{1}; });
    if (wrong == value.bytes.end()) return ok_status();
    const auto index = static_cast<std::uint64_t>(wrong - value.bytes.begin());
    return cursor_.error(Fault::corrupt, "boolean is neither 0 nor 1", value.offset_bytes + index)
        .expect("0 or 1", fmt::format("{}", std::to_integer<unsigned>(*wrong)));
  }

  Status parse_array(GgufValue& value) {
    const std::uint64_t begin = cursor_.position();
    QUERNEL_TRY(value.element_kind, parse_kind());
    if (value.element_kind == GgufKind::array) {
      return cursor_.error(Fault::unsupported, "arrays of arrays cannot be read", begin);
    }
    QUERNEL_TRY(value.num_elements, cursor_.read<std::uint64_t>("the length of an array"));
    if (value.num_elements > kMaxGgufArrayElements) {
      return cursor_.error(Fault::limit_exceeded, "array is too long", begin)
          .expect(fmt::format("at most {}", kMaxGgufArrayElements), fmt::format("{}", value.num_elements));
    }
    value.offset_bytes = cursor_.position();
    if (value.element_kind == GgufKind::string) {
      for (std::uint64_t i = 0; i < value.num_elements; ++i) {
        if (auto text = cursor_.text(kMaxGgufStringBytes, "a string of an array"); !text.ok()) {
          return std::move(text).error();
        }
      }
      value.bytes = cursor_.since(value.offset_bytes);
      return ok_status();
    }
    // No wrap: a limited count times at most 8.
    QUERNEL_TRY(value.bytes, cursor_.take(value.num_elements * scalar_bytes(value.element_kind), "an array"));
    return value.element_kind == GgufKind::boolean ? check_booleans(value) : ok_status();
  }

  // The keys that decide how the rest is read.
  Status interpret_metadata() {
    header_.alignment_bytes = kDefaultAlignment;
    if (const GgufValue* value = header_.metadata.find(kAlignmentKey); value != nullptr) {
      QUERNEL_TRY(const std::uint32_t alignment, header_.metadata.u32(kAlignmentKey));
      if (value->kind != GgufKind::u32 || !std::has_single_bit(alignment) || alignment > kMaxGgufAlignment) {
        return cursor_.error(Fault::corrupt, "alignment cannot be used", value->offset_bytes)
            .in_field(std::string(kAlignmentKey))
            .expect(fmt::format("u32, a power of two up to {}", kMaxGgufAlignment),
                    fmt::format("{} {}", to_string(value->kind), alignment));
      }
      header_.alignment_bytes = alignment;
    }
    if (const GgufValue* value = header_.metadata.find(kSplitCountKey); value != nullptr) {
      QUERNEL_TRY(const std::uint64_t count, header_.metadata.u64(kSplitCountKey));
      if (count > 1) {
        return cursor_.error(Fault::unsupported, "file is one part of a split model", value->offset_bytes)
            .in_field(std::string(kSplitCountKey))
            .expect("1", fmt::format("{}", count))
            .with_hint("join the parts with llama-gguf-split --merge");
      }
    }
    return ok_status();
  }

  Status parse_tensor() {
    GgufTensor tensor;
    const std::uint64_t begin = cursor_.position();
    QUERNEL_TRY(const std::string_view name, cursor_.text(kMaxGgufTensorNameBytes, "a tensor name"));
    if (!is_tensor_name(name)) {
      return cursor_.error(Fault::corrupt, "tensor name is empty, not UTF-8 or has control characters", begin)
          .in_tensor(shown(name));
    }
    tensor.name = std::string(name);
    if (auto parsed = parse_tensor_fields(tensor); !parsed.ok())
      return std::move(parsed).error().in_tensor(tensor.name);
    info_offsets_.push_back(begin);
    header_.tensors.push_back(std::move(tensor));
    return ok_status();
  }

  Status parse_tensor_fields(GgufTensor& tensor) {
    const std::uint64_t rank_offset = cursor_.position();
    QUERNEL_TRY(const auto rank, cursor_.read<std::uint32_t>("the rank of a tensor"));
    if (rank < 1 || rank > kMaxGgufTensorRank) {
      return cursor_.error(rank < 1 ? Fault::corrupt : Fault::limit_exceeded, "rank of a tensor", rank_offset)
          .expect(fmt::format("1 to {}", kMaxGgufTensorRank), fmt::format("{}", rank));
    }
    for (std::uint32_t i = 0; i < rank; ++i) {
      const std::uint64_t offset = cursor_.position();
      QUERNEL_TRY(const auto size, cursor_.read<std::uint64_t>("a dimension of a tensor"));
      const auto dimension = checked_cast<std::int64_t>(size);
      if (!dimension) return cursor_.error(Fault::corrupt, "dimension does not fit 63 bits", offset);
      tensor.shape.push_back(*dimension);
    }
    const std::uint64_t type_offset = cursor_.position();
    QUERNEL_TRY(tensor.type, cursor_.read<std::uint32_t>("the type of a tensor"));
    QUERNEL_TRY_STATUS(check_type_and_size(tensor, type_offset));
    std::reverse(tensor.shape.begin(), tensor.shape.end());
    QUERNEL_TRY(tensor.offset_bytes, cursor_.read<std::uint64_t>("the offset of a tensor"));  // relative, until placed
    return ok_status();
  }

  // The shape is still in the file's order here: the row comes first.
  Status check_type_and_size(GgufTensor& tensor, std::uint64_t type_offset) {
    const auto elements = checked_num_elements(tensor.shape);
    if (!elements) return cursor_.error(Fault::corrupt, "size of the tensor does not fit 63 bits", type_offset);
    if (is_removed_gguf_type(tensor.type)) {
      return cursor_.error(Fault::unsupported, "tensor type was withdrawn from the format", type_offset)
          .in_field("type")
          .expect("a current type", fmt::format("{}", tensor.type))
          .with_hint("convert the model again with a current tool");
    }
    const GgufTypeSize* size = find_gguf_type(tensor.type);
    if (size == nullptr) {
      tensor.is_known_type = false;
      tensor.type_name = fmt::format("type {}", tensor.type);
      return ok_status();
    }
    tensor.type_name = size->name;
    if (static_cast<std::uint64_t>(tensor.shape.front()) % size->elements_per_block != 0) {
      return cursor_.error(Fault::corrupt, "row of the tensor is not a whole number of blocks", type_offset)
          .expect(fmt::format("a multiple of {} for {}", size->elements_per_block, size->name),
                  fmt::format("{}", tensor.shape.front()));
    }
    const auto bytes = checked_mul<std::uint64_t>(*elements / size->elements_per_block, size->bytes_per_block);
    if (!bytes) return cursor_.error(Fault::corrupt, "size of the tensor does not fit 64 bits", type_offset);
    tensor.size_bytes = *bytes;
    return ok_status();
  }

  Status refuse_duplicate_tensors() const {
    const auto& tensors = header_.tensors;
    std::vector<std::size_t> order(tensors.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&tensors](std::size_t a, std::size_t b) {
      return tensors[a].name != tensors[b].name ? tensors[a].name < tensors[b].name : a < b;
    });
    for (std::size_t i = 1; i < order.size(); ++i) {
      if (tensors[order[i - 1]].name != tensors[order[i]].name) continue;
      return cursor_.error(Fault::corrupt, "duplicate tensor name", info_offsets_[order[i]])
          .in_tensor(tensors[order[i]].name);
    }
    return ok_status();
  }

  // Offsets are the running sum of padded sizes, and all of it lies inside the file.
  Status place_data() {
    header_.data_offset_bytes = cursor_.position();
    if (header_.tensors.empty()) return ok_status();  // such files need no padding
    const auto aligned = checked_align_up<std::uint64_t>(cursor_.position(), header_.alignment_bytes);
    if (!aligned || *aligned > file_.size()) {
      return cursor_.error(Fault::corrupt, "file ends before the data", file_.size())
          .expect(fmt::format("data at {}", aligned.value_or(0)), fmt::format("{} bytes", file_.size()));
    }
    header_.data_offset_bytes = *aligned;
    const std::uint64_t data_bytes = file_.size() - *aligned;
    std::uint64_t next = 0;
    for (std::size_t i = 0; i < header_.tensors.size(); ++i) {
      QUERNEL_TRY(next, place_tensor(i, next, data_bytes));
    }
    return ok_status();
  }

  // Checks one offset against `expected`, makes it absolute, and returns where the next tensor has to begin.
  Result<std::uint64_t> place_tensor(std::size_t index, std::uint64_t expected, std::uint64_t data_bytes) {
    GgufTensor& tensor = header_.tensors[index];
    const auto fail = [&](std::string message) {
      return cursor_.error(Fault::corrupt, std::move(message), info_offsets_[index])
          .in_tensor(tensor.name)
          .in_field("offset");
    };
    if (tensor.offset_bytes != expected) {
      return fail("tensors do not follow each other in the order of the list")
          .expect(fmt::format("{}", expected), fmt::format("{}", tensor.offset_bytes));
    }
    if (!tensor.is_known_type) {
      // Its size can only be told from where the next one begins.
      const bool last = index + 1 == header_.tensors.size();
      const std::uint64_t end = last ? data_bytes : header_.tensors[index + 1].offset_bytes;
      if (end < expected || end > data_bytes || (!last && end % header_.alignment_bytes != 0)) {
        return fail("offset of the next tensor cannot be right");
      }
      tensor.size_bytes = end - expected;
    }
    const auto end = checked_add(expected, tensor.size_bytes);
    if (!end || *end > data_bytes) {
      return fail("data of the tensor ends after the end of the file")
          .expect(fmt::format("{} bytes", tensor.size_bytes),
                  fmt::format("{}", data_bytes - std::min(expected, data_bytes)));
    }
    tensor.offset_bytes = header_.data_offset_bytes + expected;  // no wrap: inside the file
    const auto padded = checked_align_up<std::uint64_t>(*end, header_.alignment_bytes);
    if (!padded) return fail("offset does not fit 64 bits");
    return *padded;
  }

  std::span<const std::byte> file_;
  const std::string& file_name_;
  ByteCursor cursor_;
  GgufHeader header_;
  std::uint64_t num_tensors_ = 0;
  std::uint64_t num_pairs_ = 0;
  std::vector<std::uint64_t> key_offsets_;
  std::vector<std::uint64_t> info_offsets_;
};

}  // namespace

Result<GgufHeader> parse_gguf_header(std::span<const std::byte> file, const std::string& file_name) {
  try {
    return Parser(file, file_name).parse();
  } catch (const std::bad_alloc&) {
    return Error(Fault::out_of_memory, "no memory for the header").in_file(file_name);
  }
}

}  // namespace quernel::io
