#include "pipeline/fingerprint.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/sha256.h"
#include "sys/descriptor.h"
#include "sys/errno_error.h"
#include "sys/interrupt.h"

namespace quernel::pipeline {

namespace {

constexpr std::size_t kReadBytes = std::size_t{4} << 20;

Result<FileIdentity> identify(const std::string& path) {
  const sys::Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return sys::system_error("cannot open", path, errno);
  FileIdentity identity;
  identity.name = std::filesystem::path(path).filename().string();
  std::vector<std::byte> buffer(kReadBytes);
  Sha256 hash;
  for (;;) {
    const ssize_t count = ::read(file.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return sys::system_error("cannot read", path, errno);
    if (count == 0) break;
    hash.update(std::span(buffer).first(static_cast<std::size_t>(count)));
    identity.bytes += static_cast<std::uint64_t>(count);
    QUERNEL_TRY_STATUS(sys::check_interrupt());
  }
  identity.sha256 = hash.finish_hex();
  return identity;
}

std::optional<Difference> compare(const std::string& path, const Json& stored, const Json& wanted) {
  if (wanted.is_object() && stored.is_object()) {
    for (const auto& [key, value] : wanted.items()) {
      const std::string field = path.empty() ? key : path + "." + key;
      if (!stored.contains(key)) return Difference{field, "nothing", dump_json(value)};
      if (auto difference = compare(field, stored.at(key), value)) return difference;
    }
    for (const auto& [key, value] : stored.items())
      if (!wanted.contains(key)) return Difference{path.empty() ? key : path + "." + key, dump_json(value), "nothing"};
    return std::nullopt;
  }
  if (stored == wanted) return std::nullopt;
  return Difference{path, dump_json(stored), dump_json(wanted)};
}

}  // namespace

Result<std::vector<FileIdentity>> identify_files(const std::vector<std::string>& paths) {
  std::vector<FileIdentity> files;
  for (const std::string& path : paths) {
    QUERNEL_TRY(FileIdentity file, identify(path));
    files.push_back(std::move(file));
  }
  return files;
}

Json to_json(const std::vector<FileIdentity>& files) {
  Json list = Json::array();
  for (const FileIdentity& file : files)
    list.push_back({{"name", file.name}, {"bytes", file.bytes}, {"sha256", file.sha256}});
  return list;
}

std::optional<Difference> first_difference(const Json& stored, const Json& wanted) {
  return compare("", stored, wanted);
}

}  // namespace quernel::pipeline
