#include "export/side_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "model/tokenizer_json_writer.h"
#include "sys/atomic_file.h"
#include "sys/mapped_file.h"

namespace quernel::exporting {
namespace {

constexpr const char* kGenerationName = "generation_config.json";
constexpr const char* kCardName = "README.md";

Status copy_file(const std::string& from_folder, const std::string& name, const std::string& to_folder) {
  QUERNEL_TRY(const auto file, sys::MappedFile::open_contained(from_folder, name, sys::Access::sequential));
  QUERNEL_TRY(sys::AtomicFile out, sys::AtomicFile::create(to_folder + "/" + name, file.bytes().size()));
  QUERNEL_TRY_STATUS(out.write(file.bytes()));
  return out.commit();
}

// Stop tokens for engines that look nowhere else.
Json generation_config(const model::ModelConfig& config) {
  Json out = Json::object();
  out["_from_model_config"] = true;
  if (config.bos_token_id) out["bos_token_id"] = *config.bos_token_id;
  if (config.eos_token_ids.size() == 1) {
    out["eos_token_id"] = config.eos_token_ids.front();
  } else {
    out["eos_token_id"] = config.eos_token_ids;
  }
  return out;
}

std::string describe_group(const model::QuantizationInfo& info) {
  return info.group_size == -1 ? std::string("one group a row") : fmt::format("groups of {}", info.group_size);
}

}  // namespace

Result<std::vector<std::string>> write_side_files(const model::Checkpoint& source, const std::string& folder) {
  std::vector<std::string> written;
  for (const std::string& name : source.side_files()) {
    if (name == kCardName) continue;
    QUERNEL_TRY_STATUS(copy_file(source.path(), name, folder));
    written.push_back(name);
  }
  if (source.gguf() != nullptr) {
    QUERNEL_TRY(const auto files, model::tokenizer_files(*source.gguf(), source.config().max_positions));
    for (const auto& [name, content] : files) {
      QUERNEL_TRY_STATUS(sys::write_file(folder + "/" + name, content));
      written.push_back(name);
    }
  }
  if (std::find(written.begin(), written.end(), kGenerationName) == written.end() &&
      !source.config().eos_token_ids.empty()) {
    const std::string text = dump_json(generation_config(source.config()), 2) + "\n";
    QUERNEL_TRY_STATUS(sys::write_file(folder + "/" + kGenerationName, text));
    written.emplace_back(kGenerationName);
  }
  return written;
}

std::string base_model_name(const std::string& source_path) {
  std::filesystem::path path = std::filesystem::path(source_path).lexically_normal();
  if (path.filename().empty()) path = path.parent_path();
  return path.extension() == ".gguf" ? path.stem().string() : path.filename().string();
}

std::string model_card(const CardFacts& facts) {
  constexpr double kMegabyte = 1e6;
  // The name goes into YAML as a JSON string, which YAML reads as it stands.
  const std::string name = dump_json(Json(facts.base_model));
  std::string card = fmt::format(
      "---\nbase_model: {}\nbase_model_relation: quantized\nlibrary_name: transformers\npipeline_tag: text-generation\n"
      "quantized_by: quernel\ntags:\n- quantized\n- {}\n- {}-bit\n---\n\n",
      name, facts.format, facts.info.bits);
  card += fmt::format("# {}, {} bits, {}\n\n", facts.base_model, facts.info.bits, facts.format);
  card += fmt::format("Quantized from `{}` with {}.\n\n", facts.base_model, facts.tool);
  card += "| | |\n|---|---|\n";
  card += fmt::format("| method | {}{} |\n", facts.info.method, facts.info.act_order ? ", act-order" : "");
  card += fmt::format("| weights | {} bits, {}, {} |\n", facts.info.bits, describe_group(facts.info),
                      facts.info.symmetric ? "symmetric" : "asymmetric");
  card += fmt::format("| quantized modules | {}; all other tensors keep their type |\n", facts.num_quantized);
  card += fmt::format("| size of tensors | {:.1f} MB, source {:.1f} MB |\n\n",
                      static_cast<double>(facts.written_bytes) / kMegabyte,
                      static_cast<double>(facts.source_bytes) / kMegabyte);
  if (!facts.notes.empty()) {
    card += "Notes\n\n";
    for (const std::string& note : facts.notes) card += fmt::format("- {}\n", note);
    card += "\n";
  }
  card += "`quernel verify` checks every file of this folder against `quernel/SHA256SUMS` and every weight against\n";
  card += "`quernel/manifest.json`.\n";
  return card;
}

}  // namespace quernel::exporting
