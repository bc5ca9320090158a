#include "export/dense_tensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "tensor/half.h"

namespace quernel::exporting {
namespace {

constexpr std::size_t kChunkElements = std::size_t{1} << 18;  // 1 MiB of float: stays in the second-level cache

std::string module_of(const std::string& tensor) { return tensor.substr(0, tensor.rfind('.')); }

Error nonfinite_error(const std::string& name, float found) {
  return Error(Fault::corrupt, "weights must be finite").in_tensor(name).expect("finite values", fmt::to_string(found));
}

}  // namespace

// Values of one chunk in their new type. Overflow of a finite value is the caller's choice of type, not a damaged
// source.
Status narrow_values(std::span<const float> values, DType dtype, const std::string& name, std::vector<std::byte>& out) {
  out.resize(values.size() * size_of(dtype));
  if (const std::int64_t bad = first_nonfinite(values); bad >= 0) {
    return nonfinite_error(name, values[static_cast<std::size_t>(bad)]);
  }
  if (dtype == DType::f32) {
    std::memcpy(out.data(), values.data(), out.size());
    return ok_status();
  }
  std::vector<std::uint16_t> halves(values.size());
  if (dtype == DType::f16) {
    float_to_f16(values, halves);
  } else {
    float_to_bf16(values, halves);
  }
  const unsigned infinity = dtype == DType::f16 ? 0x7c00U : 0x7f80U;
  for (std::size_t i = 0; i < halves.size(); ++i) {
    if ((halves[i] & 0x7fffU) != infinity) continue;
    return Error(Fault::invalid_argument, fmt::format("value {} does not fit {}", values[i], to_string(dtype)))
        .in_tensor(name)
        .with_hint("choose bf16 or f32 for dense tensors");
  }
  std::memcpy(out.data(), halves.data(), out.size());
  return ok_status();
}

namespace {

Status stream_stored(const model::Checkpoint& from, const io::PlannedTensor& tensor, const io::ByteSink& sink) {
  QUERNEL_TRY(const TensorView view, from.view(tensor.name));
  if (view.dtype != tensor.dtype || view.shape != tensor.shape) {
    return Error(Fault::unsupported, "a tensor of another origin does not take the place of the source's")
        .in_file(from.path())
        .in_tensor(tensor.name)
        .expect(fmt::format("{} {}", to_string(tensor.dtype), to_string(tensor.shape)),
                fmt::format("{} {}", to_string(view.dtype), to_string(view.shape)));
  }
  const std::size_t width = size_of(view.dtype);
  std::vector<float> values;
  for (std::size_t offset = 0; offset < view.bytes.size(); offset += kChunkElements * width) {
    const auto part = view.bytes.subspan(offset, std::min(kChunkElements * width, view.bytes.size() - offset));
    values.resize(part.size() / width);
    QUERNEL_TRY_STATUS(to_float({view.dtype, {static_cast<std::int64_t>(values.size())}, part}, values));
    if (const std::int64_t bad = first_nonfinite(values); bad >= 0) {
      return nonfinite_error(tensor.name, values[static_cast<std::size_t>(bad)]);
    }
    QUERNEL_TRY_STATUS(sink(part));
  }
  return ok_status();
}

Status stream_decoded(const model::Checkpoint& from, const io::PlannedTensor& tensor, const io::ByteSink& sink) {
  QUERNEL_TRY(const Matrix values, from.read(tensor.name));
  const std::span<const float> all(values.data(), static_cast<std::size_t>(values.size()));
  std::vector<std::byte> bytes;
  for (std::size_t offset = 0; offset < all.size(); offset += kChunkElements) {
    const auto part = all.subspan(offset, std::min(kChunkElements, all.size() - offset));
    QUERNEL_TRY_STATUS(narrow_values(part, tensor.dtype, tensor.name, bytes));
    QUERNEL_TRY_STATUS(sink(bytes));
  }
  return ok_status();
}

}  // namespace

DenseTensors::DenseTensors(const model::Checkpoint& source, const std::set<std::string>& quantized, DType gguf_dtype,
                           TensorOrigin origin)
    : source_(source), origin_(std::move(origin)) {
  const bool folder = source.kind() == model::CheckpointKind::hugging_face;
  const std::set<std::string> extra(source.extra_tensors().begin(), source.extra_tensors().end());
  const std::string head = std::string(model::kHeadModule) + ".weight";
  for (const model::TensorInfo& info : source.tensors()) {
    if (quantized.contains(module_of(info.name)) && !info.name.ends_with(".bias")) continue;
    if (info.name == head && source.config().tie_word_embeddings) {
      dropped_.push_back(fmt::format("{} is tied to the embedding and not written twice", info.name));
    } else if (!folder && extra.contains(info.name)) {
      dropped_.push_back(fmt::format("{} has no name in a Hugging Face folder", info.name));
    } else if (folder && !info.direct) {
      dropped_.push_back(fmt::format("{} has type {}, which is not copied", info.name, info.stored_type));
    } else {
      const DType dtype = folder ? dtype_from_name(info.stored_type).value_or(DType::f32) : gguf_dtype;
      plan_.push_back({info.name, dtype, info.shape});
    }
  }
}

Status DenseTensors::stream(const io::PlannedTensor& tensor, const io::ByteSink& sink) const {
  const model::Checkpoint* other = origin_ ? origin_(tensor.name) : nullptr;
  const model::Checkpoint& from = other != nullptr ? *other : source_;
  const bool stored = from.kind() == model::CheckpointKind::hugging_face;
  const Status done = stored ? stream_stored(from, tensor, sink) : stream_decoded(from, tensor, sink);
  from.release(tensor.name);
  return done;
}

}  // namespace quernel::exporting
