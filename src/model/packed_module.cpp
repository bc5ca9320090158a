#include "model/packed_module.h"

#include <fmt/format.h>

#include "codec/int_pack.h"
#include "codec/int_pack_awq.h"
#include "codec/int_pack_compressed_tensors.h"
#include "codec/two_level.h"

namespace quernel::model {

namespace {

Error wrong_shape(const TensorInfo& info, const std::string& expected) {
  return Error(Fault::corrupt, "part of a quantized module has the wrong shape")
      .in_file(info.file)
      .in_tensor(info.name)
      .expect(expected, quernel::to_string(info.shape));
}

Error missing(const std::string& name) {
  return Error(Fault::corrupt, "part of a quantized module is missing").in_tensor(name);
}

Result<const TensorInfo*> require(const TensorLookup& lookup, const std::string& name) {
  const TensorInfo* info = lookup(name);
  if (info != nullptr) return info;
  return missing(name);
}

Result<DType> scale_type(const TensorInfo& info) {
  const std::optional<DType> dtype = dtype_from_name(info.stored_type);
  if (dtype == DType::f16 || dtype == DType::bf16 || dtype == DType::f32) return *dtype;
  return Error(Fault::unsupported, "scales of this type cannot be read")
      .in_file(info.file)
      .in_tensor(info.name)
      .expect("F16, BF16 or F32", info.stored_type);
}

Status find_gptq(const QuantizationConfig& config, const TensorInfo& codes, const TensorLookup& lookup,
                 PackedModule& module) {
  QUERNEL_TRY(const TensorInfo* scales, require(lookup, module.name + ".scales"));
  QUERNEL_TRY(const TensorInfo* zeros, require(lookup, module.name + ".qzeros"));
  if (codes.shape.size() != 2 || codes.shape[1] != module.rows)
    return wrong_shape(codes, fmt::format("[.., {}]", module.rows));
  if (scales->shape.size() != 2 || scales->shape[1] != module.rows)
    return wrong_shape(*scales, fmt::format("[.., {}]", module.rows));
  QUERNEL_TRY(module.scale_dtype, scale_type(*scales));
  const PackedShapes shapes{module.rows, module.cols, codes.shape[0], scales->shape[0], std::nullopt};
  QUERNEL_TRY(module.scheme, match_scheme(config, shapes));
  if (config.planar && module.scheme.bits == 3)
    return Error(Fault::unsupported, "3-bit codes in planes (gptq_p) cannot be read")
        .in_file(codes.file)
        .in_tensor(codes.name);
  const Shape zeros_shape{scales->shape[0], codec::packed_words(module.rows, module.scheme.bits)};
  if (zeros->shape != zeros_shape) return wrong_shape(*zeros, quernel::to_string(zeros_shape));
  module.has_zero_points = true;
  const TensorInfo* groups = lookup(module.name + ".g_idx");
  module.has_g_idx = groups != nullptr;
  if (groups != nullptr && groups->shape != Shape{module.cols})
    return wrong_shape(*groups, quernel::to_string(Shape{module.cols}));
  return ok_status();
}

// AWQ's codes run along the outputs; along the inputs they are the layout of its gemv kernels.
Error wrong_awq_codes(const TensorInfo& codes, const PackedModule& module, const Shape& expected) {
  Error error = wrong_shape(codes, quernel::to_string(expected));
  if (codes.shape == Shape{module.rows, codec::packed_words(module.cols, codec::kAwqBits)})
    return std::move(error).with_hint("this is the shape of version gemv, which cannot be read");
  return error;
}

Status find_awq(const QuantizationConfig& config, const TensorInfo& codes, const TensorLookup& lookup,
                PackedModule& module) {
  module.scheme = config.schemes.front();
  QUERNEL_TRY_STATUS(codec::check_awq_sides(module.rows, module.cols, module.scheme.group_size, Fault::corrupt));
  const std::int64_t groups = module.scheme.group_size == -1 ? 1 : module.cols / module.scheme.group_size;
  const std::int64_t words = module.rows / codec::kAwqOutputsPerWord;
  const Shape codes_shape{module.cols, words};
  if (codes.shape != codes_shape) return wrong_awq_codes(codes, module, codes_shape);
  QUERNEL_TRY(const TensorInfo* scales, require(lookup, module.name + ".scales"));
  const Shape scales_shape{groups, module.rows};
  if (scales->shape != scales_shape) return wrong_shape(*scales, quernel::to_string(scales_shape));
  QUERNEL_TRY(module.scale_dtype, scale_type(*scales));
  const TensorInfo* zeros = lookup(module.name + ".qzeros");
  module.has_zero_points = zeros != nullptr;
  if (zeros == nullptr && !module.scheme.symmetric) return missing(module.name + ".qzeros");
  const Shape zeros_shape{groups, words};
  if (zeros != nullptr && zeros->shape != zeros_shape) return wrong_shape(*zeros, quernel::to_string(zeros_shape));
  if (lookup(module.name + ".g_idx") == nullptr) return ok_status();
  return Error(Fault::unsupported, "AWQ modules have no index of groups").in_field("g_idx");
}

Status find_pack_quantized(const QuantizationConfig& config, const TensorInfo& codes, const TensorLookup& lookup,
                           PackedModule& module) {
  QUERNEL_TRY(const TensorInfo* scales, require(lookup, module.name + ".weight_scale"));
  const TensorInfo* zeros = lookup(module.name + ".weight_zero_point");
  const TensorInfo* groups = lookup(module.name + ".weight_g_idx");
  if (codes.shape.size() != 2 || codes.shape[0] != module.rows)
    return wrong_shape(codes, fmt::format("[{}, ..]", module.rows));
  const bool one_scale = scales->shape == Shape{1} || scales->shape.empty();
  if (!one_scale && (scales->shape.size() != 2 || scales->shape[0] != module.rows))
    return wrong_shape(*scales, fmt::format("[{}, ..]", module.rows));
  QUERNEL_TRY(module.scale_dtype, scale_type(*scales));
  const PackedShapes shapes{module.rows, module.cols, codes.shape[1], one_scale ? 0 : scales->shape[1],
                            zeros == nullptr};
  QUERNEL_TRY(module.scheme, match_scheme(config, shapes));
  if (groups != nullptr && groups->shape != Shape{module.cols})
    return wrong_shape(*groups, quernel::to_string(Shape{module.cols}));
  module.has_zero_points = zeros != nullptr;
  module.has_g_idx = groups != nullptr;
  module.has_shape = lookup(module.name + ".weight_shape") != nullptr;
  return ok_status();
}

// Both tensors of a list, or neither; their sizes are for the reader of the values.
Status find_outliers(const QuantizationConfig& config, const TensorLookup& lookup, PackedModule& module) {
  const TensorInfo* index = lookup(module.name + ".outlier_index");
  const TensorInfo* values = lookup(module.name + ".outlier_values");
  module.has_outliers = index != nullptr || values != nullptr;
  if (!module.has_outliers) return ok_status();
  if (index == nullptr) return missing(module.name + ".outlier_index");
  if (values == nullptr) return missing(module.name + ".outlier_values");
  const std::int64_t count = index->shape.empty() ? 0 : index->shape[0];
  if (count < 1 || count > codec::kMaxOutliers || index->shape != Shape{count, 2})
    return wrong_shape(*index, fmt::format("[1 .. {}, 2]", codec::kMaxOutliers));
  if (values->shape != Shape{count}) return wrong_shape(*values, quernel::to_string(Shape{count}));
  if (config.info.outliers) return ok_status();
  return Error(Fault::corrupt, "a list of outliers in a checkpoint whose version has none")
      .in_file(index->file)
      .in_tensor(index->name)
      .expect(fmt::format("version {}", kNativeFormatWithOutliers), fmt::format("version {}", kNativeFormatVersion));
}

Status find_two_level(const QuantizationConfig& config, const TensorInfo& codes, const TensorLookup& lookup,
                      PackedModule& module) {
  QUERNEL_TRY(const TensorInfo* groups, require(lookup, module.name + ".groups"));
  QUERNEL_TRY(const TensorInfo* scales, require(lookup, module.name + ".scales"));
  module.scheme = config.schemes.front();
  const std::int64_t size = module.scheme.group_size == -1 ? module.cols : module.scheme.group_size;
  const Shape codes_shape{module.rows, (module.cols + 1) / 2};
  const Shape groups_shape{module.rows, codec::num_groups(module.cols, size)};
  if (codes.shape != codes_shape) return wrong_shape(codes, quernel::to_string(codes_shape));
  if (groups->shape != groups_shape) return wrong_shape(*groups, quernel::to_string(groups_shape));
  if (scales->shape != Shape{module.rows}) return wrong_shape(*scales, quernel::to_string(Shape{module.rows}));
  QUERNEL_TRY(module.scale_dtype, scale_type(*scales));
  return find_outliers(config, lookup, module);
}

Result<std::optional<TensorView>> optional_view(bool present, const ViewLookup& view, const std::string& name) {
  if (!present) return std::optional<TensorView>{};
  QUERNEL_TRY(TensorView found, view(name));
  return std::optional<TensorView>(std::move(found));
}

Result<codec::IntegerMatrix> read_gptq(const PackedModule& module, const ViewLookup& view) {
  codec::GptqViews views;
  QUERNEL_TRY(views.qweight, view(module.name + ".qweight"));
  QUERNEL_TRY(views.qzeros, view(module.name + ".qzeros"));
  QUERNEL_TRY(views.scales, view(module.name + ".scales"));
  QUERNEL_TRY(views.g_idx, optional_view(module.has_g_idx, view, module.name + ".g_idx"));
  const codec::GptqLayout layout{
      module.rows, module.cols, module.scheme.bits, module.scheme.group_size, module.scheme.symmetric, module.zeros};
  return codec::unpack_gptq(views, layout);
}

Result<codec::IntegerMatrix> read_awq(const PackedModule& module, const ViewLookup& view) {
  codec::AwqViews views;
  QUERNEL_TRY(views.qweight, view(module.name + ".qweight"));
  QUERNEL_TRY(views.qzeros, optional_view(module.has_zero_points, view, module.name + ".qzeros"));
  QUERNEL_TRY(views.scales, view(module.name + ".scales"));
  return codec::unpack_awq(views, {module.rows, module.cols, module.scheme.group_size, module.scheme.symmetric});
}

Result<codec::IntegerMatrix> read_pack_quantized(const PackedModule& module, const ViewLookup& view) {
  codec::PackQuantizedViews views;
  QUERNEL_TRY(views.weight_packed, view(module.name + ".weight_packed"));
  QUERNEL_TRY(views.weight_scale, view(module.name + ".weight_scale"));
  QUERNEL_TRY(views.weight_zero_point, optional_view(module.has_zero_points, view, module.name + ".weight_zero_point"));
  QUERNEL_TRY(views.weight_shape, optional_view(module.has_shape, view, module.name + ".weight_shape"));
  QUERNEL_TRY(views.weight_g_idx, optional_view(module.has_g_idx, view, module.name + ".weight_g_idx"));
  const codec::PackQuantizedLayout layout{module.rows, module.cols, module.scheme.bits, module.scheme.group_size,
                                          module.scheme.symmetric};
  return codec::unpack_quantized(views, layout);
}

Result<codec::IntegerMatrix> read_two_level(const PackedModule& module, const ViewLookup& view) {
  codec::TwoLevelViews views;
  QUERNEL_TRY(views.codes, view(module.name + ".codes"));
  QUERNEL_TRY(views.groups, view(module.name + ".groups"));
  QUERNEL_TRY(views.scales, view(module.name + ".scales"));
  QUERNEL_TRY(views.outlier_index, optional_view(module.has_outliers, view, module.name + ".outlier_index"));
  QUERNEL_TRY(views.outlier_values, optional_view(module.has_outliers, view, module.name + ".outlier_values"));
  return codec::unpack_two_level(views, {module.rows, module.cols, module.scheme.group_size, module.scheme.symmetric});
}

// What a layout is to this file.
struct LayoutReader {
  const char* codes;  // suffix of the tensor that marks a module as quantized
  Status (*find)(const QuantizationConfig&, const TensorInfo& codes, const TensorLookup&, PackedModule&);
  Result<codec::IntegerMatrix> (*read)(const PackedModule&, const ViewLookup&);
};

LayoutReader reader_of(PackedLayout layout) {
  switch (layout) {
    case PackedLayout::gptq: return {".qweight", find_gptq, read_gptq};
    case PackedLayout::pack_quantized: return {".weight_packed", find_pack_quantized, read_pack_quantized};
    case PackedLayout::two_level: return {".codes", find_two_level, read_two_level};
    case PackedLayout::awq: return {".qweight", find_awq, read_awq};
  }
  QUERNEL_CHECK(false, "layout {}", static_cast<int>(layout));
  return {};
}

}  // namespace

std::vector<std::string> PackedModule::tensors() const {
  std::vector<std::string> names;
  const auto add = [&](const char* suffix) { names.push_back(name + suffix); };
  if (layout == PackedLayout::two_level) {
    for (const char* suffix : {".codes", ".groups", ".scales"}) add(suffix);
    if (has_outliers) add(".outlier_index");
    if (has_outliers) add(".outlier_values");
    return names;
  }
  const bool packed = layout == PackedLayout::pack_quantized;  // else the names of GPTQ, which are AWQ's too
  add(packed ? ".weight_packed" : ".qweight");
  add(packed ? ".weight_scale" : ".scales");
  if (has_zero_points) add(packed ? ".weight_zero_point" : ".qzeros");
  if (has_g_idx) add(packed ? ".weight_g_idx" : ".g_idx");
  if (has_shape) add(".weight_shape");
  return names;
}

Result<std::optional<PackedModule>> find_packed_module(const QuantizationConfig& config, const std::string& module,
                                                       std::int64_t rows, std::int64_t cols,
                                                       const TensorLookup& lookup) {
  PackedModule found;
  found.name = module;
  found.layout = config.layout;
  found.rows = rows;
  found.cols = cols;
  found.zeros = config.zeros;
  const LayoutReader reader = reader_of(config.layout);
  const TensorInfo* codes = lookup(module + reader.codes);
  if (codes == nullptr) return std::optional<PackedModule>{};
  Status status = reader.find(config, *codes, lookup, found);
  if (!status.ok()) return std::move(status).error().in_tensor(module).in_file(codes->file);
  return std::optional<PackedModule>(std::move(found));
}

Result<codec::IntegerMatrix> read_packed_module(const PackedModule& module, const ViewLookup& view) {
  return reader_of(module.layout).read(module, view);
}

}  // namespace quernel::model
