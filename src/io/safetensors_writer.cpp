#include "io/safetensors_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <numeric>
#include <optional>

#include "base/checked.h"
#include "base/json.h"
#include "base/sha256.h"
#include "io/entry_checks.h"
#include "io/limits.h"
#include "io/safetensors_set.h"
#include "sys/atomic_file.h"

namespace quernel::io {
namespace {

constexpr std::size_t kHeaderAlignment = 8;

// Position of a type in the format's own list; the writer orders by it, largest first.
int dtype_rank(DType dtype) {
  switch (dtype) {
    case DType::boolean: return 0;
    case DType::u8: return 1;
    case DType::i8: return 2;
    case DType::f8_e5m2: return 3;
    case DType::f8_e4m3: return 4;
    case DType::i16: return 5;
    case DType::u16: return 6;
    case DType::f16: return 7;
    case DType::bf16: return 8;
    case DType::i32: return 9;
    case DType::u32: return 10;
    case DType::f32: return 11;
    case DType::f64: return 12;
    case DType::i64: return 13;
    case DType::u64: return 14;
  }
  return 0;
}

std::uint64_t data_bytes(const PlannedTensor& tensor) {
  const auto elements = checked_num_elements(tensor.shape);
  QUERNEL_CHECK(elements.has_value());
  return *elements * size_of(tensor.dtype);
}

Error plan_error(const PlannedTensor& tensor, std::string message) {
  return Error(Fault::invalid_argument, std::move(message)).in_tensor(tensor.name);
}

Status check_plan(const std::vector<PlannedTensor>& plan) {
  std::vector<std::string_view> names;
  std::uint64_t total = 0;
  for (const PlannedTensor& tensor : plan) {
    if (!is_tensor_name(tensor.name) || tensor.name == "__metadata__") {
      return plan_error(tensor, "not a name that a tensor can have in a safetensors file");
    }
    if (tensor.shape.size() > kMaxTensorRank) return plan_error(tensor, "too many dimensions");
    const auto elements = checked_num_elements(tensor.shape);
    const auto bytes = elements ? checked_mul<std::uint64_t>(*elements, size_of(tensor.dtype)) : std::nullopt;
    const auto sum = bytes ? checked_add(total, *bytes) : std::nullopt;
    if (!sum) return plan_error(tensor, "size of the tensor does not fit 64 bits");
    total = *sum;
    names.push_back(tensor.name);
  }
  std::sort(names.begin(), names.end());
  if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end()) {
    return Error(Fault::invalid_argument, "tensor is planned twice").in_tensor(std::string(*twice));
  }
  return ok_status();
}

// One file: indices into the plan, in the order of the file.
using Shard = std::vector<std::size_t>;

// Next-fit in the order of the plan; then the order of the format inside each shard.
std::vector<Shard> make_shards(const std::vector<PlannedTensor>& plan, std::uint64_t max_bytes) {
  std::vector<Shard> shards(1);
  std::uint64_t used = 0;
  for (std::size_t i = 0; i < plan.size(); ++i) {
    const std::uint64_t bytes = data_bytes(plan[i]);
    if (!shards.back().empty() && (used > max_bytes || bytes > max_bytes - used)) {
      shards.emplace_back();
      used = 0;
    }
    shards.back().push_back(i);
    used += bytes;
  }
  for (Shard& shard : shards) {
    std::sort(shard.begin(), shard.end(), [&plan](std::size_t a, std::size_t b) {
      const int rank_a = dtype_rank(plan[a].dtype);
      const int rank_b = dtype_rank(plan[b].dtype);
      return rank_a != rank_b ? rank_a > rank_b : plan[a].name < plan[b].name;
    });
  }
  return shards;
}

std::string shard_name(std::size_t index, std::size_t count) {
  if (count == 1) return kSafetensorsSingleName;
  return fmt::format("model-{:05}-of-{:05}.safetensors", index + 1, count);
}

// Takes an older set out of sight before its shards may be overwritten.
Status remove_if_there(const std::string& folder, const char* name) {
  const std::string path = folder + "/" + name;
  if (::unlink(path.c_str()) == 0) return sys::sync_folder(folder);
  if (errno == ENOENT) return ok_status();
  return Error(Fault::io_error, fmt::format("cannot remove the older file: {}", std::strerror(errno))).in_file(path);
}

class SetWriter {
 public:
  SetWriter(const std::string& folder, const std::vector<PlannedTensor>& plan, const TensorSource& source,
            const SafetensorsWriteOptions& options)
      : folder_(folder), plan_(plan), source_(source), options_(options) {
    written_.tensors.resize(plan.size());
  }

  Result<WrittenSafetensors> write() {
    const std::vector<Shard> shards = make_shards(plan_, options_.max_shard_bytes);
    if (shards.size() > kMaxShards) {
      return Error(Fault::invalid_argument, "too many shards: the largest shard size is too small")
          .in_file(folder_)
          .expect(fmt::format("at most {}", kMaxShards), fmt::format("{}", shards.size()));
    }
    const bool single = shards.size() == 1;
    if (!single) {
      QUERNEL_TRY_STATUS(remove_if_there(folder_, kSafetensorsIndexName));
      QUERNEL_TRY_STATUS(remove_if_there(folder_, kSafetensorsSingleName));
    }
    for (std::size_t i = 0; i < shards.size(); ++i) {
      QUERNEL_TRY_STATUS(write_file(shards[i], shard_name(i, shards.size())));
    }
    if (single) {
      QUERNEL_TRY_STATUS(remove_if_there(folder_, kSafetensorsIndexName));  // a reader prefers the single file already
    } else {
      QUERNEL_TRY_STATUS(write_index());
    }
    return std::move(written_);
  }

 private:
  Status write_file(const Shard& shard, const std::string& name) {
    std::vector<const PlannedTensor*> tensors;
    std::uint64_t bytes = 0;
    for (const std::size_t index : shard) {
      tensors.push_back(&plan_[index]);
      bytes += data_bytes(plan_[index]);
    }
    const std::string header = make_safetensors_header(tensors, options_.metadata);
    if (header.size() - kHeaderAlignment > kMaxSafetensorsHeaderBytes) {
      return Error(Fault::limit_exceeded, "header would be too long").in_file(folder_ + "/" + name);
    }
    QUERNEL_TRY(sys::AtomicFile file, sys::AtomicFile::create(folder_ + "/" + name, header.size() + bytes));
    QUERNEL_TRY_STATUS(file.write(header));
    for (const std::size_t index : shard) {
      QUERNEL_TRY_STATUS(write_tensor(file, index, name));
    }
    QUERNEL_TRY_STATUS(file.commit());
    written_.files.push_back(name);
    written_.tensor_bytes += bytes;
    return ok_status();
  }

  Status write_tensor(sys::AtomicFile& file, std::size_t index, const std::string& file_name) {
    const PlannedTensor& tensor = plan_[index];
    const std::uint64_t expected = data_bytes(tensor);
    std::uint64_t got = 0;
    std::optional<Sha256> hash;
    if (options_.hash_tensors) hash.emplace();
    const ByteSink sink = [&](std::span<const std::byte> bytes) -> Status {
      if (bytes.size() > expected - got) {
        return plan_error(tensor, "source gives more bytes than dtype and shape ask for")
            .expect(fmt::format("{}", expected), fmt::format("{} or more", got + bytes.size()));
      }
      got += bytes.size();
      if (hash) hash->update(bytes);
      return file.write(bytes);
    };
    if (auto streamed = source_(index, sink); !streamed.ok()) return std::move(streamed).error().in_tensor(tensor.name);
    if (got != expected) {
      return plan_error(tensor, "source gives fewer bytes than dtype and shape ask for")
          .expect(fmt::format("{}", expected), fmt::format("{}", got));
    }
    written_.tensors[index] = {tensor.name, file_name, expected, hash ? hash->finish_hex() : std::string()};
    return ok_status();
  }

  Status write_index() {
    std::vector<const WrittenTensor*> order;
    for (const WrittenTensor& tensor : written_.tensors) order.push_back(&tensor);
    std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return a->name < b->name; });
    Json::object_t weight_map;
    weight_map.reserve(order.size());
    for (const WrittenTensor* tensor : order) {
      weight_map.Json::object_t::Container::emplace_back(tensor->name, tensor->file);  // names are known to be unique
    }
    Json index;
    index["metadata"]["total_size"] = written_.tensor_bytes;
    index["weight_map"] = std::move(weight_map);
    QUERNEL_TRY_STATUS(sys::write_file(folder_ + "/" + kSafetensorsIndexName, dump_json(index, 2) + "\n"));
    written_.files.emplace_back(kSafetensorsIndexName);
    return ok_status();
  }

  const std::string& folder_;
  const std::vector<PlannedTensor>& plan_;
  const TensorSource& source_;
  const SafetensorsWriteOptions& options_;
  WrittenSafetensors written_;
};

}  // namespace

std::string make_safetensors_header(const std::vector<const PlannedTensor*>& tensors,
                                    const std::vector<std::pair<std::string, std::string>>& metadata) {
  std::string json = "{";
  if (!metadata.empty()) {
    json += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata) {
      fmt::format_to(std::back_inserter(json), "{}:{},", dump_json(Json(key)), dump_json(Json(value)));
    }
    json.back() = '}';
    json += ',';
  }
  std::uint64_t begin = 0;
  for (const PlannedTensor* tensor : tensors) {
    const std::uint64_t end = begin + data_bytes(*tensor);
    fmt::format_to(std::back_inserter(json), "{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}},",
                   dump_json(Json(tensor->name)), to_string(tensor->dtype), fmt::join(tensor->shape, ","), begin, end);
    begin = end;
  }
  if (json.back() == ',') json.pop_back();
  json += '}';
  json.resize(ceil_div(json.size(), kHeaderAlignment) * kHeaderAlignment, ' ');
  std::string header(kHeaderAlignment, '\0');
  for (std::size_t i = 0; i < kHeaderAlignment; ++i) header[i] = static_cast<char>(json.size() >> (8 * i) & 0xFFU);
  return header + json;
}

Result<WrittenSafetensors> write_safetensors(const std::string& folder, const std::vector<PlannedTensor>& plan,
                                             const TensorSource& source, const SafetensorsWriteOptions& options) {
  QUERNEL_TRY_STATUS(check_plan(plan));
  return SetWriter(folder, plan, source, options).write();
}

}  // namespace quernel::io
