#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/checksum.h"
#include "engine/packed_file.h"
#include "engine/packed_file_form.h"
#include "io/safetensors_writer.h"
#include "sys/atomic_file.h"

namespace quernel::engine {
namespace {

using namespace packed_form;

template <typename Table, typename Kind>
const char* name_in(const Table& table, Kind kind) {
  return std::find_if(table.begin(), table.end(), [&](const auto& row) { return row.second == kind; })->first;
}

struct Tensor {
  io::PlannedTensor plan;
  std::span<const std::byte> bytes;
};

template <typename T>
void add_tensor(std::vector<Tensor>& tensors, std::string name, DType dtype, Shape shape,
                const std::vector<T>& values) {
  if (!values.empty())
    tensors.push_back({{std::move(name), dtype, std::move(shape)}, std::as_bytes(std::span(values))});
}

// Outliers as two lists that a file can hold.
struct OutlierLists {
  std::vector<std::int32_t> index;
  std::vector<float> value;
};

struct Writing {
  std::vector<Tensor> tensors;
  std::vector<OutlierLists> outliers;  // what tensors point to; room for all is reserved
  Json kinds = Json::object();
};

void add_linear(Writing& to, const std::string& name, const PackedLinear& linear) {
  const packed::WeightView& w = linear.weight.view();
  Json kind{{"codes", name_in(kCodes, w.codes)},
            {"groups", name_in(kGroups, w.groups)},
            {"fixed_zero", w.fixed_zero},
            {"group_size", w.group_size},
            {"dense", linear.is_dense}};
  if (w.codes == Codes::u4_table) kind["table"] = std::vector<int>(std::begin(w.table), std::end(w.table));
  to.kinds[name] = std::move(kind);
  const std::span<const std::byte> memory = linear.weight.memory();
  to.tensors.push_back({{name + ".packed", DType::u8, {static_cast<std::int64_t>(memory.size())}}, memory});
  const auto count = [](const auto& list) { return static_cast<std::int64_t>(list.size()); };
  add_tensor(to.tensors, name + ".bias", DType::f32, {count(linear.bias)}, linear.bias);
  add_tensor(to.tensors, name + ".order", DType::i32, {count(linear.order)}, linear.order);
  OutlierLists& lists = to.outliers.emplace_back();
  for (const codec::Outlier& outlier : linear.outliers) {
    lists.index.insert(lists.index.end(), {outlier.row, outlier.col});
    lists.value.push_back(outlier.value);
  }
  add_tensor(to.tensors, name + ".outlier_index", DType::i32, {count(lists.value), 2}, lists.index);
  add_tensor(to.tensors, name + ".outlier_value", DType::f32, {count(lists.value)}, lists.value);
}

Json sums_of(std::span<const std::byte> bytes) {
  Json sums = Json::array();
  for (std::size_t at = 0; at < bytes.size(); at += kChunk)
    sums.push_back(fmt::format("{:016x}", checksum64(bytes.subspan(at, std::min(kChunk, bytes.size() - at)))));
  return sums;
}

}  // namespace

Status write_packed(const std::string& path, const Json& identity, const ModelWeights& weights) {
  Writing writing;
  std::size_t linears = 1;
  for (const Layer& layer : weights.layers) linears += layer.linears.size();
  writing.outliers.reserve(linears);
  add_linear(writing, model::kHeadModule, weights.head);
  for (const Layer& layer : weights.layers)
    for (std::size_t i = 0; i < layer.linears.size(); ++i) add_linear(writing, layer.modules[i].name, layer.linears[i]);
  Json sums = Json::object();
  std::vector<const io::PlannedTensor*> plan;
  std::uint64_t bytes = 0;
  for (const Tensor& tensor : writing.tensors) {
    sums[tensor.plan.name] = sums_of(tensor.bytes);
    plan.push_back(&tensor.plan);
    bytes += tensor.bytes.size();
  }
  const Json metadata{{"version", kPackedVersion}, {"identity", identity}, {"weights", writing.kinds}, {"sums", sums}};
  const std::string header = io::make_safetensors_header(plan, {{kMetadataKey, dump_json(metadata)}});
  QUERNEL_TRY(sys::AtomicFile file, sys::AtomicFile::create(path, header.size() + bytes));
  QUERNEL_TRY_STATUS(file.write(header));
  for (const Tensor& tensor : writing.tensors) QUERNEL_TRY_STATUS(file.write(tensor.bytes));
  return file.commit_unsynced();
}

}  // namespace quernel::engine
