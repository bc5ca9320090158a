#include "export/format.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/contains.h"
#include "export/awq_writer.h"
#include "export/compressed_tensors_writer.h"
#include "export/gptq_writer.h"
#include "export/quernel_writer.h"

namespace quernel::exporting {
namespace {

Status check_bits(const Format& format, const FormatInput& input) {
  if (contains(format.bits, input.info.bits)) return ok_status();
  return Error(Fault::unsupported, fmt::format("{} cannot hold codes of {} bits", format.name, input.info.bits))
      .in_field("bits")
      .expect(fmt::format("{}", fmt::join(format.bits, ", ")), fmt::to_string(input.info.bits));
}

Status check_scales(const Format& format, const FormatInput& input) {
  if (contains(format.scale_dtypes, input.info.scale_dtype)) return ok_status();
  std::vector<std::string_view> names;
  for (const DType dtype : format.scale_dtypes) names.push_back(to_string(dtype));
  return Error(Fault::unsupported,
               fmt::format("{} cannot hold {} scales", format.name, to_string(input.info.scale_dtype)))
      .in_field("scale_dtype")
      .expect(fmt::format("{}", fmt::join(names, ", ")), std::string(to_string(input.info.scale_dtype)));
}

Status check_groups(const Format& format, const FormatInput& input) {
  if (input.scattered_groups && !format.scattered_groups) {
    return Error(Fault::unsupported, fmt::format("{} cannot hold groups of scattered columns", format.name))
        .in_field("act_order")
        .with_hint("use static groups with act-order, or the gptq format");
  }
  const std::int64_t size = input.info.group_size;
  if (format.tail_groups || size == -1) return ok_status();
  for (const model::LinearModule& module : input.modules) {
    if (module.cols % size == 0) continue;
    const std::int64_t nearest = nearest_group_size(input.modules, size);
    return Error(Fault::unsupported, fmt::format("{} needs inputs that groups of {} divide", format.name, size))
        .in_tensor(module.name)
        .in_field("group_size")
        .expect(fmt::format("a divisor of {}", module.cols), fmt::to_string(size))
        .with_hint(nearest > 0 ? fmt::format("nearest valid for this model: {}", nearest)
                               : "use one group a row (-1), or the gptq format");
  }
  return ok_status();
}

Status check_outliers(const Format& format, const FormatInput& input) {
  if (!input.info.outliers || format.outliers) return ok_status();
  return Error(Fault::unsupported, fmt::format("{} has no place for single weights kept beside the codes", format.name))
      .in_field("super-weights")
      .expect("off", "auto")
      .with_hint("--method qoq in format quernel holds them");
}

}  // namespace

std::span<const Format> formats() {
  static const std::array<Format, 4> rows{gptq_format(), awq_format(), compressed_tensors_format(), quernel_format()};
  return rows;
}

Result<const Format*> find_format(const std::string& name) {
  std::vector<std::string> names;
  for (const Format& format : formats()) {
    if (format.name == name) return &format;
    names.emplace_back(format.name);
  }
  return Error(Fault::unsupported, fmt::format("there is no export format '{}'", name))
      .in_field("format")
      .expect(fmt::format("{}", fmt::join(names, ", ")), name);
}

Status check_holdable(const Format& format, const FormatInput& input) {
  QUERNEL_TRY_STATUS(check_bits(format, input));
  QUERNEL_TRY_STATUS(check_scales(format, input));
  QUERNEL_TRY_STATUS(check_groups(format, input));
  QUERNEL_TRY_STATUS(check_outliers(format, input));
  if (!input.info.symmetric && !format.asymmetric) {
    return Error(Fault::unsupported, fmt::format("{} cannot hold zero points", format.name)).in_field("symmetric");
  }
  if (input.online_transforms && !format.online_transforms) {
    return Error(Fault::unsupported,
                 fmt::format("the model needs Hadamard transforms while it runs, which no reader of {} does",
                             format.name))
        .in_field("quernel_runtime")
        .with_hint("prepare the model without on-line transforms, or use a format of Quernel's own");
  }
  return format.check(input);
}

Status check_holdable(const std::string& format, const model::QuantizationInfo& info,
                      const std::vector<std::vector<model::LinearModule>>& layers) {
  QUERNEL_TRY(const Format* row, find_format(format));
  FormatInput input;
  input.info = info;
  input.scattered_groups = info.act_order && !info.static_groups;
  for (const auto& layer : layers) input.modules.insert(input.modules.end(), layer.begin(), layer.end());
  return check_holdable(*row, input);
}

std::int64_t nearest_group_size(const std::vector<model::LinearModule>& modules, std::int64_t wanted) {
  for (std::int64_t size = 1024; size >= 16; size /= 2) {
    if (size > wanted) continue;
    if (std::all_of(modules.begin(), modules.end(), [&](const auto& module) { return module.cols % size == 0; }))
      return size;
  }
  return -1;
}

Status check_matrix(const FormatInput& input, const model::LinearModule& module, const codec::IntegerMatrix& matrix) {
  const auto differs = [&](const char* field, std::int64_t expected, std::int64_t found) -> Error {
    return Error(Fault::invalid_argument, "quantized module is not what the plan of the checkpoint says")
        .in_tensor(module.name)
        .in_field(field)
        .expect(fmt::to_string(expected), fmt::to_string(found));
  };
  const model::QuantizationInfo& info = input.info;
  if (matrix.rows != module.rows) return differs("rows", module.rows, matrix.rows);
  if (matrix.cols != module.cols) return differs("cols", module.cols, matrix.cols);
  if (matrix.bits != info.bits) return differs("bits", info.bits, matrix.bits);
  const std::int64_t group_size = info.group_size == -1 ? module.cols : info.group_size;
  // One group a row has several names: its size counts only where it divides the row.
  const bool one_group = group_size >= module.cols && matrix.group_size >= module.cols;
  if (matrix.group_size != group_size && !one_group) return differs("group_size", group_size, matrix.group_size);
  const auto listed = input.outliers.find(module.name);
  const std::int64_t outliers = listed == input.outliers.end() ? 0 : listed->second;
  if (std::cmp_not_equal(outliers, matrix.outliers.size()))
    return differs("outliers", outliers, static_cast<std::int64_t>(matrix.outliers.size()));
  if (matrix.symmetric != info.symmetric) return differs("symmetric", info.symmetric, matrix.symmetric);
  if (matrix.scale_dtype != info.scale_dtype) {
    return Error(Fault::invalid_argument, "scales have another type than the plan of the checkpoint says")
        .in_tensor(module.name)
        .in_field("scale_dtype")
        .expect(std::string(to_string(info.scale_dtype)), std::string(to_string(matrix.scale_dtype)));
  }
  if (!input.scattered_groups && !matrix.has_contiguous_groups()) {
    return Error(Fault::invalid_argument, "groups are scattered, which the plan of the checkpoint does not say")
        .in_tensor(module.name)
        .in_field("group_of_column");
  }
  Status valid = codec::validate(matrix);
  if (!valid.ok()) return std::move(valid).error().in_tensor(module.name);
  return ok_status();
}

}  // namespace quernel::exporting
