#include "engine/packed_cache.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>

#include "engine/packed_file.h"
#include "model/own_files.h"
#include "sys/clock.h"
#include "sys/file_stamp.h"
#include "sys/memory.h"

namespace quernel::engine {
namespace {

Result<Json> identity_of(const model::Checkpoint& checkpoint) {
  Json identity = Json::array();
  for (const std::string& path : checkpoint.files()) {
    QUERNEL_TRY(const sys::FileStamp stamp, sys::stamp_file(path));
    identity.push_back({{"name", std::filesystem::path(path).filename().string()},
                        {"bytes", stamp.bytes},
                        {"modified_ns", stamp.modified_ns},
                        {"edges", fmt::format("{:016x}", stamp.edges)}});
  }
  return identity;
}

Result<ModelWeights> read_cache(const model::Checkpoint& checkpoint, const std::string& path, sys::ThreadPool& pool) {
  QUERNEL_TRY(const Json identity, identity_of(checkpoint));
  QUERNEL_TRY(ModelWeights frame, load_frame(checkpoint));
  const model::ModelConfig& config = checkpoint.config();
  return read_packed(path, identity, std::move(frame), {config.vocab_size, config.hidden_size}, pool);
}

// What there is to say about it.
std::string write_cache(const model::Checkpoint& checkpoint, const std::string& path, const ModelWeights& weights) {
  const std::string size = sys::format_bytes(weights.bytes());
  const std::uint64_t room = sys::free_disk_bytes(std::filesystem::path(path).parent_path().string());
  if (room < 2 * weights.bytes())
    return fmt::format("packed weights ({}) not kept: {} free on the disk", size, sys::format_bytes(room));
  const Result<Json> identity = identity_of(checkpoint);
  const Status written = identity.ok() ? write_packed(path, *identity, weights) : Status(identity.error());
  if (!written.ok()) return fmt::format("packed weights ({}) not kept: {}", size, to_string(written.error()));
  return fmt::format("packed weights kept in {} ({}); --packed off keeps none", path, size);
}

}  // namespace

std::string packed_cache_path(const model::Checkpoint& checkpoint) {
  const std::filesystem::path path = std::filesystem::absolute(checkpoint.path());
  if (checkpoint.kind() == model::CheckpointKind::gguf) return path.string() + ".packed";
  return (path / model::kPackedFile).string();
}

Result<CachedWeights> load_weights(const model::Checkpoint& checkpoint, sys::ThreadPool& pool, PackedCacheUse use,
                                   double worth_seconds) {
  CachedWeights loaded;
  const std::string path = packed_cache_path(checkpoint);
  if (use == PackedCacheUse::automatic && std::filesystem::exists(path)) {
    Result<ModelWeights> read = read_cache(checkpoint, path, pool);
    if (read.ok()) return CachedWeights{std::move(read).value(), true, ""};
    if (read.error().fault == Fault::out_of_memory) return std::move(read).error();
    loaded.note = fmt::format("packed again: {}\n", to_string(read.error()));
  }
  const sys::Stopwatch watch;
  QUERNEL_TRY(loaded.weights, pack_weights(checkpoint, pool));
  if (use == PackedCacheUse::off) return loaded;
  // A file that no longer fits is replaced whatever it saves: it would be met again at every load.
  const bool is_stale = !loaded.note.empty();
  if (is_stale || watch.seconds() >= worth_seconds) loaded.note += write_cache(checkpoint, path, loaded.weights);
  return loaded;
}

}  // namespace quernel::engine
