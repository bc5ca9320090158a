#include "export/hf_checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "export/dense_tensors.h"
#include "export/manifest.h"
#include "export/side_files.h"
#include "io/safetensors_writer.h"
#include "sys/atomic_file.h"

namespace quernel::exporting {
namespace {

constexpr const char* kTool = "quernel " QUERNEL_VERSION;

// One checkpoint on its way to disk: plan, then bytes, then the files around them.
class Writer {
 public:
  Writer(const ExportInput& input, const FormatInput& format_input, const Format& format, std::string folder,
         const ExportOptions& options, sys::ProgressSink& progress)
      : input_(input),
        format_input_(format_input),
        format_(format),
        folder_(std::move(folder)),
        options_(options),
        progress_(progress),
        dense_(*input.source, {input.modules.begin(), input.modules.end()}, options.gguf_dense_dtype, input.origin) {
    out_.format = format.name;
    out_.folder = folder_;
    out_.notes = format.notes(format_input);
    out_.notes.insert(out_.notes.end(), dense_.dropped().begin(), dense_.dropped().end());
    make_plan();
  }

  Result<ExportedCheckpoint> write() {
    QUERNEL_TRY_STATUS(write_weights());
    QUERNEL_TRY(const std::vector<std::string> side_files, write_side_files(*input_.source, folder_));
    out_.files.insert(out_.files.end(), side_files.begin(), side_files.end());
    QUERNEL_TRY_STATUS(write_text("README.md", model_card(card_facts())));
    QUERNEL_TRY_STATUS(write_config());
    out_.files.emplace_back(kManifestPath);
    manifest_.files = out_.files;
    QUERNEL_TRY_STATUS(write_manifest(folder_, manifest_));
    QUERNEL_TRY_STATUS(write_checksums(folder_));
    out_.files.emplace_back(kChecksumPath);
    return std::move(out_);
  }

 private:
  struct Origin {
    const model::LinearModule* module = nullptr;  // null: dense
    std::size_t part = 0;                         // index of Format::plan
  };

  // Modules first met in the order of the network, dense tensors in the order of the source: shards then follow the
  // layers.
  void make_plan() {
    for (const io::PlannedTensor& tensor : dense_.plan()) {
      plan_.push_back(tensor);
      origins_.emplace_back();
    }
    for (const model::LinearModule& module : format_input_.modules) {
      const std::vector<io::PlannedTensor> parts = format_.plan(format_input_, module);
      for (std::size_t part = 0; part < parts.size(); ++part) {
        plan_.push_back(parts[part]);
        origins_.push_back({&module, part});
        manifest_.modules[module.name].tensors.push_back(parts[part].name);
      }
    }
  }

  Status write_weights() {
    io::SafetensorsWriteOptions options;
    options.max_shard_bytes = options_.max_shard_bytes;
    options.hash_tensors = true;
    const io::TensorSource source = [this](std::size_t index, const io::ByteSink& sink) { return stream(index, sink); };
    QUERNEL_TRY(const io::WrittenSafetensors written, io::write_safetensors(folder_, plan_, source, options));
    out_.files = written.files;
    out_.tensor_bytes = written.tensor_bytes;
    for (std::size_t i = 0; i < plan_.size(); ++i) {
      const io::WrittenTensor& tensor = written.tensors[i];
      manifest_.tensors[tensor.name] = {std::string(to_string(plan_[i].dtype)), plan_[i].shape, tensor.file,
                                        tensor.sha256};
      if (origins_[i].module != nullptr) out_.quantized_bytes += tensor.size_bytes;
    }
    return ok_status();
  }

  Status stream(std::size_t index, const io::ByteSink& sink) {
    const Origin& origin = origins_[index];
    if (origin.module == nullptr) return dense_.stream(plan_[index], sink);
    QUERNEL_TRY(const MatrixPointer matrix, input_.read(origin.module->name));
    QUERNEL_TRY_STATUS(check_levels(origin.module->name, *matrix));
    if (origin.part == 0) {  // the codes: the one visit at which the whole matrix is checked
      QUERNEL_TRY_STATUS(check_matrix(format_input_, *origin.module, *matrix));
      manifest_.modules[origin.module->name].dequantized_sha256 = dequantized_sha256(*matrix);
      report_progress(origin.module->name);
    }
    QUERNEL_TRY(const std::vector<std::byte> bytes, format_.pack.at(origin.part)(format_input_, *matrix));
    return sink(bytes);
  }

  Status check_levels(const std::string& module, const codec::IntegerMatrix& matrix) const {
    if (matrix.levels.has_value() == format_.two_level) return ok_status();
    return Error(Fault::unsupported, fmt::format("{} cannot hold these scales", format_.name))
        .in_tensor(module)
        .expect(format_.two_level ? "two levels" : "one level", format_.two_level ? "one" : "two");
  }

  void report_progress(const std::string& module) {
    // A module takes milliseconds: a line for each would bury the lines of the long step.
    constexpr std::int64_t kLines = 4;
    const auto total = static_cast<std::int64_t>(format_input_.modules.size());
    ++num_written_;
    if (num_written_ * kLines / total == (num_written_ - 1) * kLines / total) return;
    sys::ProgressEvent event;
    event.stage = fmt::format("write {}", format_.name);
    event.item = module;
    event.done = num_written_;
    event.total = total;
    progress_.on_progress(event);
  }

  Status write_text(const std::string& name, const std::string& text) {
    QUERNEL_TRY_STATUS(sys::write_file(folder_ + "/" + name, text));
    out_.files.push_back(name);
    return ok_status();
  }

  Status write_config() {
    const Json quantization = format_.config(format_input_, QUERNEL_VERSION);
    if (format_.config_file != nullptr) {
      QUERNEL_TRY_STATUS(write_text(format_.config_file, dump_json(quantization, 2) + "\n"));
    }
    Json config = input_.source->config_json();
    if (input_.source->kind() == model::CheckpointKind::gguf) {
      const DType dtype = options_.gguf_dense_dtype;
      const char* name = dtype == DType::f16 ? "float16" : dtype == DType::bf16 ? "bfloat16" : "float32";
      config["torch_dtype"] = name;
      config["dtype"] = name;
    }
    config["quantization_config"] = quantization;
    QUERNEL_TRY_STATUS(write_text("config.json", dump_json(config, 2) + "\n"));
    fill_manifest(quantization);
    return ok_status();
  }

  void fill_manifest(const Json& quantization) {
    manifest_.tool = kTool;
    manifest_.format = format_.name;
    manifest_.complete = true;
    const bool gguf = input_.source->kind() == model::CheckpointKind::gguf;
    manifest_.source["name"] = base_model();
    manifest_.source["kind"] = gguf ? "gguf" : "hugging_face";
    if (gguf) manifest_.source["dense_dtype"] = to_string(options_.gguf_dense_dtype);
    if (!options_.prepared_by.empty()) manifest_.source["prepared_by"] = options_.prepared_by;
    manifest_.quantization = quantization;
  }

  std::string base_model() const {
    return options_.base_model.empty() ? base_model_name(input_.source->path()) : options_.base_model;
  }

  CardFacts card_facts() const {
    CardFacts facts;
    facts.base_model = base_model();
    facts.tool = kTool;
    facts.format = format_.name;
    facts.info = format_input_.info;
    for (const model::TensorInfo& tensor : input_.source->tensors()) facts.source_bytes += tensor.bytes;
    facts.written_bytes = out_.tensor_bytes;
    facts.num_quantized = format_input_.modules.size();
    facts.notes = out_.notes;
    return facts;
  }

  const ExportInput& input_;
  const FormatInput& format_input_;
  const Format& format_;
  std::string folder_;
  const ExportOptions& options_;
  sys::ProgressSink& progress_;
  DenseTensors dense_;
  std::vector<io::PlannedTensor> plan_;
  std::vector<Origin> origins_;  // one per planned tensor
  std::int64_t num_written_ = 0;
  Manifest manifest_;
  ExportedCheckpoint out_;
};

Status check_options(const model::Checkpoint& source, const ExportOptions& options) {
  if (options.formats.empty()) return Error(Fault::invalid_argument, "no export format given").in_field("format");
  const std::set<std::string> names(options.formats.begin(), options.formats.end());
  if (names.size() != options.formats.size())
    return Error(Fault::invalid_argument, "format given twice").in_field("format");
  if (options.max_shard_bytes == 0) return Error(Fault::invalid_argument, "shards of no bytes").in_field("shard size");
  const DType dtype = options.gguf_dense_dtype;
  if (dtype != DType::f16 && dtype != DType::bf16 && dtype != DType::f32) {
    return Error(Fault::invalid_argument, "dense tensors cannot have this type")
        .in_field("dense dtype")
        .expect("F16, BF16 or F32", std::string(to_string(dtype)));
  }
  if (!source.config_obstacle().empty()) {
    return Error(Fault::unsupported, source.config_obstacle()).in_file(source.path()).in_field("config.json");
  }
  return ok_status();
}

DType named_dtype(const std::string& name) {
  if (name == "float32") return DType::f32;
  return name == "bfloat16" ? DType::bf16 : DType::f16;
}

// The mark of a folder that holds one checkpoint per format.
Status write_collection(const std::string& output, const ExportOptions& options) {
  Manifest manifest;
  manifest.tool = kTool;
  manifest.formats = options.formats;
  manifest.complete = true;
  QUERNEL_TRY_STATUS(write_manifest(output, manifest));
  return write_checksums(output);
}

// Reads every matrix once, only where some may have outliers: tensors are planned before any is written.
Status count_outliers(const ExportInput& input, FormatInput& planned) {
  if (!input.info.outliers) return ok_status();
  for (const model::LinearModule& module : planned.modules) {
    QUERNEL_TRY(const MatrixPointer matrix, input.read(module.name));
    if (!matrix->outliers.empty()) planned.outliers[module.name] = static_cast<std::int64_t>(matrix->outliers.size());
  }
  return ok_status();
}

}  // namespace

MatrixReader reader_of(const model::QuantizedModel& model) {
  return [&model](const std::string& module) -> Result<MatrixPointer> {
    const auto found = model.modules.find(module);
    if (found == model.modules.end()) return Error(Fault::not_found, "module was not quantized").in_tensor(module);
    return MatrixPointer(MatrixPointer(), &found->second);  // does not own
  };
}

ExportInput input_of(const model::Checkpoint& source, const model::QuantizedModel& model) {
  ExportInput input{&source, model.info, {}, reader_of(model), {}};
  for (const auto& [name, matrix] : model.modules) input.modules.push_back(name);
  return input;
}

Result<FormatInput> format_input(const model::Checkpoint& source, const model::QuantizationInfo& info,
                                 const std::vector<std::string>& modules, const ExportOptions& options) {
  std::set<std::string> wanted(modules.begin(), modules.end());
  FormatInput input;
  input.info = info;
  input.scattered_groups = info.act_order && !info.static_groups;
  input.compact_scales = options.compact_scales;
  input.online_transforms = source.config().has_online_transforms();
  input.model_dtype = source.kind() == model::CheckpointKind::gguf ? options.gguf_dense_dtype
                                                                   : named_dtype(source.config().stored_dtype);
  for (std::int64_t layer = 0; layer < source.config().num_layers; ++layer) {
    for (model::LinearModule& module : model::linear_modules(source.config(), layer)) {
      if (wanted.erase(module.name) == 0) {
        input.dense_modules.push_back(module.name);
      } else {
        input.modules.push_back(std::move(module));
      }
    }
  }
  if (!wanted.empty()) {
    return Error(Fault::invalid_argument, "the model has no such linear module").in_tensor(*wanted.begin());
  }
  if (input.modules.empty()) return Error(Fault::invalid_argument, "no module is quantized").in_file(source.path());
  return input;
}

Status check_export(const model::Checkpoint& source, const model::QuantizationInfo& info,
                    const std::vector<std::string>& modules, const std::string& output, const ExportOptions& options) {
  QUERNEL_TRY_STATUS(check_options(source, options));
  QUERNEL_TRY(const FormatInput input, format_input(source, info, modules, options));
  for (const std::string& name : options.formats) {
    QUERNEL_TRY(const Format* format, find_format(name));
    QUERNEL_TRY_STATUS(check_holdable(*format, input));
  }
  return check_output(output, source.path(), options.existing);
}

std::vector<std::string> checkpoint_folders(const std::string& output, const std::vector<std::string>& formats) {
  if (formats.size() == 1) return {output};
  std::vector<std::string> folders;
  for (const std::string& format : formats) folders.push_back(output + "/" + format);
  return folders;
}

Result<std::vector<ExportedCheckpoint>> export_checkpoints(const ExportInput& input, const std::string& output,
                                                           const ExportOptions& options, sys::ProgressSink& progress) {
  QUERNEL_TRY_STATUS(check_export(*input.source, input.info, input.modules, output, options));
  QUERNEL_TRY(FormatInput planned, format_input(*input.source, input.info, input.modules, options));
  QUERNEL_TRY_STATUS(count_outliers(input, planned));
  QUERNEL_TRY_STATUS(prepare_output(output, input.source->path(), options.existing, kTool));
  const std::vector<std::string> folders = checkpoint_folders(output, options.formats);
  std::vector<ExportedCheckpoint> out;
  for (std::size_t i = 0; i < folders.size(); ++i) {
    QUERNEL_TRY(const Format* format, find_format(options.formats[i]));
    if (folders[i] != output) {
      QUERNEL_TRY_STATUS(prepare_output(folders[i], input.source->path(), options.existing, kTool));
    }
    QUERNEL_TRY(ExportedCheckpoint written, Writer(input, planned, *format, folders[i], options, progress).write());
    out.push_back(std::move(written));
  }
  if (folders.size() > 1) QUERNEL_TRY_STATUS(write_collection(output, options));
  return out;
}

}  // namespace quernel::exporting
