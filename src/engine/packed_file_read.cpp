#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "base/checksum.h"
#include "engine/packed_file.h"
#include "engine/packed_file_form.h"
#include "io/safetensors.h"
#include "sys/huge_arena.h"

namespace quernel::engine {
namespace {

using namespace packed_form;

template <typename Table>
Result<typename Table::value_type::second_type> kind_in(const Table& table, const Json& json, const char* key) {
  QUERNEL_TRY(const std::string name, json_string(json, key));
  for (const auto& [known, kind] : table)
    if (name == known) return kind;
  return Error(Fault::corrupt, "unknown kind of packed weight").in_field(key).expect("a known one", name);
}

Result<Json> metadata_of(const io::SafetensorsFile& file, const Json& identity) {
  const std::string* text = file.header().find_metadata(kMetadataKey);
  if (text == nullptr) return Error(Fault::corrupt, "not a file of packed weights");
  QUERNEL_TRY(Json metadata, parse_json(*text, file.path()));
  QUERNEL_TRY(const std::int64_t version, json_int(metadata, "version"));
  if (version != kPackedVersion)
    return Error(Fault::unsupported, "packed weights of another version")
        .expect(fmt::format("{}", kPackedVersion), fmt::format("{}", version));
  if (!metadata.contains("identity") || metadata["identity"] != identity)
    return Error(Fault::unsupported, "packed weights of another state of the model");
  if (!metadata.contains("weights") || !metadata["weights"].is_object() || !metadata.contains("sums") ||
      !metadata["sums"].is_object())
    return Error(Fault::corrupt, "packed weights without their kinds or sums");
  return metadata;
}

// The shape of a weight, all fields bounded by what the model asks for.
Result<packed::WeightView> shape_of(const Json& kinds, const std::string& name, std::int64_t rows, std::int64_t cols) {
  if (!kinds.contains(name)) return Error(Fault::corrupt, "packed weight is missing");
  const Json& kind = kinds[name];
  packed::WeightView shape;
  QUERNEL_TRY(shape.codes, kind_in(kCodes, kind, "codes"));
  QUERNEL_TRY(shape.groups, kind_in(kGroups, kind, "groups"));
  QUERNEL_TRY(const std::int64_t zero, json_int(kind, "fixed_zero"));
  if (zero < 0 || zero > 255) return Error(Fault::corrupt, "zero point outside of a byte").in_field("fixed_zero");
  shape.fixed_zero = static_cast<std::uint8_t>(zero);
  QUERNEL_TRY(shape.group_size, json_int(kind, "group_size"));
  shape.rows = rows;
  shape.cols = cols;
  if (shape.codes != Codes::u4_table) return shape;
  const Json table = kind.value("table", Json::array());
  if (!table.is_array() || table.size() != std::size(shape.table))
    return Error(Fault::corrupt, "table of a packed weight").in_field("table").expect("16 bytes", dump_json(table));
  for (std::size_t i = 0; i < std::size(shape.table); ++i) {
    const std::int64_t level = table[i].is_number_integer() ? table[i].get<std::int64_t>() : -1;
    if (level < 0 || level > 255)
      return Error(Fault::corrupt, "table of a packed weight").in_field("table").expect("bytes", dump_json(table[i]));
    shape.table[i] = static_cast<std::uint8_t>(level);
  }
  return shape;
}

// A stretch of the file on its way into memory.
struct Chunk {
  const std::byte* from;
  std::byte* to;  // null: only checked
  std::size_t bytes;
  std::uint64_t sum;
  const std::string* tensor;
};

class Reader {
 public:
  Reader(const io::SafetensorsFile& file, const Json& metadata)
      : file_(file), kinds_(metadata["weights"]), sums_(metadata["sums"]), arena_(file.size_bytes()) {}

  Status take(const std::string& name, std::int64_t rows, std::int64_t cols, PackedLinear& linear) {
    QUERNEL_TRY(const packed::WeightView shape, shape_of(kinds_, name, rows, cols));
    QUERNEL_TRY(const std::uint64_t bytes, packed::PackedWeight::bytes_of(shape));
    QUERNEL_TRY(const io::SafetensorsEntry* entry,
                entry_of(name + ".packed", DType::u8, static_cast<std::int64_t>(bytes)));
    QUERNEL_TRY(sys::HugeSlice memory, arena_.take(bytes));
    QUERNEL_TRY_STATUS(plan_copy(*entry, memory.data));
    QUERNEL_TRY(linear.weight, packed::PackedWeight::over(shape, std::move(memory)));
    QUERNEL_TRY(linear.is_dense, json_bool(kinds_[name], "dense"));
    QUERNEL_TRY_STATUS(take_list(name + ".bias", DType::f32, {0, rows}, linear.bias));
    QUERNEL_TRY_STATUS(take_list(name + ".order", DType::i32, {0, cols}, linear.order));
    return take_outliers(name, rows, cols, linear);
  }

  // Copies what was taken; the first tensor whose bytes are not what was written is named.
  Status copy(sys::ThreadPool& pool) {
    std::vector<char> wrong(chunks_.size(), 0);
    pool.parallel_for(static_cast<std::int64_t>(chunks_.size()), [&](std::int64_t i) {
      const Chunk& chunk = chunks_[static_cast<std::size_t>(i)];
      if (chunk.to != nullptr) std::memcpy(chunk.to, chunk.from, chunk.bytes);
      const std::byte* here = chunk.to != nullptr ? chunk.to : chunk.from;
      wrong[static_cast<std::size_t>(i)] = checksum64({here, chunk.bytes}) != chunk.sum ? 1 : 0;
    });
    const auto found = std::find(wrong.begin(), wrong.end(), 1);
    if (found == wrong.end()) return ok_status();
    return Error(Fault::corrupt, "packed weights do not have their checksum")
        .in_tensor(*chunks_[static_cast<std::size_t>(found - wrong.begin())].tensor);
  }

 private:
  Result<const io::SafetensorsEntry*> entry_of(const std::string& name, DType dtype, std::int64_t elements) {
    const io::SafetensorsEntry* entry = file_.find(name);
    if (entry == nullptr) return Error(Fault::corrupt, "tensor is missing").in_tensor(name);
    QUERNEL_TRY(const TensorView view, file_.view(*entry));
    if (view.dtype != dtype || view.num_elements() != elements)
      return Error(Fault::corrupt, "a tensor has another size than the model asks for")
          .in_tensor(name)
          .expect(fmt::format("{} elements", elements), fmt::format("{}", view.num_elements()));
    return entry;
  }

  Status plan_copy(const io::SafetensorsEntry& entry, std::byte* to) {
    const std::span<const std::byte> bytes = file_.bytes(entry);
    const Json sums = sums_.value(entry.name, Json::array());
    if (!sums.is_array() || sums.size() != (bytes.size() + kChunk - 1) / kChunk)
      return Error(Fault::corrupt, "checksums are missing").in_tensor(entry.name);
    for (std::size_t i = 0; i < sums.size(); ++i) {
      if (!sums[i].is_string()) return Error(Fault::corrupt, "a checksum is not text").in_tensor(entry.name);
      const std::string text = sums[i].get<std::string>();
      char* end = nullptr;
      const std::uint64_t sum = std::strtoull(text.c_str(), &end, 16);
      if (text.size() != 16 || end != text.c_str() + 16)
        return Error(Fault::corrupt, "not a checksum").in_tensor(entry.name).expect("16 hexadecimal digits", text);
      const std::size_t at = i * kChunk;
      chunks_.push_back({bytes.data() + at, to != nullptr ? to + at : nullptr, std::min(kChunk, bytes.size() - at), sum,
                         &entry.name});
    }
    return ok_status();
  }

  // A list that may be missing, of one of the lengths.
  template <typename T>
  Status take_list(const std::string& name, DType dtype, std::initializer_list<std::int64_t> lengths,
                   std::vector<T>& list) {
    if (file_.find(name) == nullptr) return ok_status();
    QUERNEL_TRY(const TensorView view, file_.view(name));
    if (view.dtype != dtype || std::find(lengths.begin(), lengths.end(), view.num_elements()) == lengths.end())
      return Error(Fault::corrupt, "a list has another length than the model asks for").in_tensor(name);
    list.resize(static_cast<std::size_t>(view.num_elements()));
    if (list.empty()) return ok_status();
    return plan_copy(*file_.find(name), reinterpret_cast<std::byte*>(list.data()));
  }

  Status take_outliers(const std::string& name, std::int64_t rows, std::int64_t cols, PackedLinear& linear);

  const io::SafetensorsFile& file_;
  const Json& kinds_;
  const Json& sums_;
  sys::HugeArena arena_;
  std::vector<Chunk> chunks_;
};

// Few and small: read at once; their sums are checked with the rest.
Status Reader::take_outliers(const std::string& name, std::int64_t rows, std::int64_t cols, PackedLinear& linear) {
  if (file_.find(name + ".outlier_value") == nullptr) return ok_status();
  QUERNEL_TRY(const TensorView values, file_.view(name + ".outlier_value"));
  const std::int64_t count = values.num_elements();
  if (values.dtype != DType::f32 || count > codec::kMaxOutliers)
    return Error(Fault::corrupt, "too many single weights").in_tensor(name);
  QUERNEL_TRY(const io::SafetensorsEntry* index, entry_of(name + ".outlier_index", DType::i32, 2 * count));
  QUERNEL_TRY_STATUS(plan_copy(*index, nullptr));
  QUERNEL_TRY_STATUS(plan_copy(*file_.find(name + ".outlier_value"), nullptr));
  for (std::int64_t i = 0; i < count; ++i) {
    codec::Outlier outlier;
    const std::byte* place = file_.bytes(*index).data() + 8 * i;
    std::memcpy(&outlier.row, place, 4);
    std::memcpy(&outlier.col, place + 4, 4);
    std::memcpy(&outlier.value, values.bytes.data() + 4 * i, 4);
    const bool inside = outlier.row >= 0 && outlier.row < rows && outlier.col >= 0 && outlier.col < cols;
    if (!inside || !std::isfinite(outlier.value))
      return Error(Fault::corrupt, "a single weight lies outside of its matrix").in_tensor(name);
    linear.outliers.push_back(outlier);
  }
  return ok_status();
}

Status check_order(const PackedLinear& linear, const std::string& name) {
  for (const std::int32_t place : linear.order)
    if (place < 0 || place >= linear.cols())
      return Error(Fault::corrupt, "an order leads out of the matrix").in_tensor(name + ".order");
  return ok_status();
}

Result<ModelWeights> fill(const io::SafetensorsFile& file, const Json& identity, ModelWeights weights,
                          const Shape& head_shape, sys::ThreadPool& pool) {
  QUERNEL_TRY(const Json metadata, metadata_of(file, identity));
  Reader reader(file, metadata);
  QUERNEL_TRY_STATUS(reader.take(model::kHeadModule, head_shape[0], head_shape[1], weights.head));
  for (Layer& layer : weights.layers) {
    layer.linears.resize(layer.modules.size());
    for (std::size_t i = 0; i < layer.modules.size(); ++i) {
      const model::LinearModule& module = layer.modules[i];
      QUERNEL_TRY_STATUS(reader.take(module.name, module.rows, module.cols, layer.linears[i]));
    }
  }
  QUERNEL_TRY_STATUS(reader.copy(pool));
  QUERNEL_TRY_STATUS(check_order(weights.head, model::kHeadModule));
  for (const Layer& layer : weights.layers)
    for (std::size_t i = 0; i < layer.linears.size(); ++i)
      QUERNEL_TRY_STATUS(check_order(layer.linears[i], layer.modules[i].name));
  return weights;
}

}  // namespace

Result<ModelWeights> read_packed(const std::string& path, const Json& identity, ModelWeights frame, Shape head_shape,
                                 sys::ThreadPool& pool) {
  QUERNEL_TRY(const io::SafetensorsFile file, io::SafetensorsFile::open(path));
  Result<ModelWeights> weights = fill(file, identity, std::move(frame), head_shape, pool);
  if (!weights.ok()) return std::move(weights).error().in_file(path);
  return weights;
}

}  // namespace quernel::engine
