// What our readers and writers make of a file, as JSON and as bytes, for tests/peers/io_roundtrip.py to compare with
// the libraries of other projects.
//
//   quernel_io_peer list FILE_OR_FOLDER          names, types, shapes, hashes, metadata
//   quernel_io_peer copy FOLDER OUT SHARD_BYTES  a safetensors folder through our writer
//   quernel_io_peer decode TYPE IN OUT           raw GGUF blocks to raw float
//   quernel_io_peer time TYPE MEGABYTES          decoding rate on one core, GB of float a second
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/rng.h"
#include "base/sha256.h"
#include "codec/gguf_blocks.h"
#include "io/gguf.h"
#include "io/safetensors_set.h"
#include "io/safetensors_writer.h"
#include "sys/atomic_file.h"
#include "sys/clock.h"

namespace quernel {
namespace {

std::string hash_of_floats(const io::GgufFile& file, const io::GgufTensor& tensor) {
  const codec::GgmlTypeTraits* traits = codec::find_ggml_type(tensor.type);
  if (traits == nullptr || !traits->decodable) return "";
  std::uint64_t elements = 1;
  for (const auto dimension : tensor.shape) elements *= static_cast<std::uint64_t>(dimension);
  std::vector<float> values(elements);
  const Status decoded = codec::dequantize_gguf(traits->type, file.bytes(tensor), values);
  return decoded.ok() ? sha256_hex(std::as_bytes(std::span(values))) : to_string(decoded.error());
}

Result<Json> list_gguf(const std::string& path) {
  QUERNEL_TRY(const io::GgufFile file, io::GgufFile::open(path));
  Json out;
  out["version"] = file.header().version;
  out["metadata"] = Json::object();
  for (const auto& [key, value] : file.metadata().pairs()) {
    std::string kind(to_string(value.kind));
    if (value.kind == io::GgufKind::array)
      kind += fmt::format(" {} {}", to_string(value.element_kind), value.num_elements);
    out["metadata"][std::string(key)] = {{"kind", kind}, {"sha256", sha256_hex(value.bytes)}};
  }
  out["tensors"] = Json::array();
  for (const auto& tensor : file.tensors()) {
    out["tensors"].push_back({{"name", tensor.name},
                              {"type", tensor.type_name},
                              {"shape", tensor.shape},
                              {"offset", tensor.offset_bytes},
                              {"sha256", sha256_hex(file.bytes(tensor))},
                              {"float_sha256", hash_of_floats(file, tensor)}});
  }
  return out;
}

Json describe(const io::SafetensorsFile& file, const io::SafetensorsEntry& entry) {
  return {{"name", entry.name},
          {"type", entry.dtype_name},
          {"shape", entry.shape},
          {"offset", entry.offset_bytes},
          {"sha256", sha256_hex(file.bytes(entry))}};
}

Result<Json> list_safetensors(const std::string& path) {
  Json out;
  out["tensors"] = Json::array();
  if (std::filesystem::is_directory(path)) {
    QUERNEL_TRY(const io::SafetensorsSet set, io::SafetensorsSet::open(path));
    for (const auto& place : set.tensors()) out["tensors"].push_back(describe(*place.file, *place.entry));
    return out;
  }
  QUERNEL_TRY(const io::SafetensorsFile file, io::SafetensorsFile::open(path));
  for (const auto& [key, value] : file.header().metadata) out["metadata"][key] = value;
  for (const auto& entry : file.entries()) out["tensors"].push_back(describe(file, entry));
  return out;
}

Status copy_folder(const std::string& from, const std::string& to, std::uint64_t max_shard_bytes) {
  QUERNEL_TRY(const io::SafetensorsSet set, io::SafetensorsSet::open(from));
  std::vector<io::PlannedTensor> plan;
  for (const auto& place : set.tensors()) plan.push_back({place.entry->name, *place.entry->dtype, place.entry->shape});
  const auto source = [&set](std::size_t index, const io::ByteSink& sink) {
    const auto& place = set.tensors()[index];
    return sink(place.file->bytes(*place.entry));
  };
  QUERNEL_TRY_STATUS(sys::make_folders(to));
  auto written = io::write_safetensors(to, plan, source, {.max_shard_bytes = max_shard_bytes});
  if (!written.ok()) return std::move(written).error();
  return ok_status();
}

Result<codec::GgmlTypeTraits> decodable(const std::string& number) {
  const auto* traits = codec::find_ggml_type(static_cast<std::uint32_t>(std::stoul(number)));
  if (traits == nullptr || !traits->decodable) return Error(Fault::unsupported, "type cannot be decoded");
  return *traits;
}

Status decode(const std::string& type, const std::string& from, const std::string& to) {
  QUERNEL_TRY(const auto traits, decodable(type));
  std::ifstream in(from, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  std::vector<float> values(bytes.size() / static_cast<std::size_t>(traits.bytes_per_block) *
                            static_cast<std::size_t>(traits.elements_per_block));
  QUERNEL_TRY_STATUS(codec::dequantize_gguf(traits.type, std::as_bytes(std::span(bytes)), values));
  std::ofstream(to, std::ios::binary)
      .write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(float)));
  return ok_status();
}

// Rows of 4096 elements, decoded into the same buffer as a consumer would do it.
Status time_decoding(const std::string& type, std::size_t megabytes) {
  QUERNEL_TRY(const auto traits, decodable(type));
  constexpr std::size_t kRow = 4096;
  const std::size_t row_bytes =
      kRow / static_cast<std::size_t>(traits.elements_per_block) * static_cast<std::size_t>(traits.bytes_per_block);
  const std::size_t rows = megabytes * 1'000'000 / (kRow * sizeof(float));
  std::vector<std::byte> blocks(rows * row_bytes);
  CounterRng rng(1, traits.name);
  for (auto& byte : blocks) byte = static_cast<std::byte>(rng.next_u64());
  std::vector<float> out(kRow);
  double best = 1e9;
  for (int round = 0; round < 5; ++round) {
    const sys::Stopwatch watch;
    for (std::size_t row = 0; row < rows; ++row) {
      QUERNEL_TRY_STATUS(
          codec::dequantize_gguf(traits.type, std::span(blocks).subspan(row * row_bytes, row_bytes), out));
    }
    best = std::min(best, watch.seconds());
  }
  fmt::print("{} {:.2f}\n", traits.name, static_cast<double>(rows * kRow * sizeof(float)) / best / 1e9);
  return ok_status();
}

Status run(const std::vector<std::string>& args) {
  if (args.size() == 2 && args[0] == "list") {
    auto listed = args[1].ends_with(".gguf") ? list_gguf(args[1]) : list_safetensors(args[1]);
    if (!listed.ok()) return std::move(listed).error();
    fmt::print("{}\n", dump_json(*listed));
    return ok_status();
  }
  if (args.size() == 4 && args[0] == "copy") return copy_folder(args[1], args[2], std::stoull(args[3]));
  if (args.size() == 4 && args[0] == "decode") return decode(args[1], args[2], args[3]);
  if (args.size() == 3 && args[0] == "time") return time_decoding(args[1], std::stoull(args[2]));
  return Error(Fault::usage, "list FILE | copy FOLDER OUT SHARD_BYTES | decode TYPE IN OUT | time TYPE MEGABYTES");
}

}  // namespace
}  // namespace quernel

int main(int argc, char** argv) {
  const quernel::Status status = quernel::run({argv + 1, argv + argc});
  if (status.ok()) return 0;
  fmt::print(stderr, "{}\n", to_string(status.error()));
  return 3;
}
