#include "sys/json_file.h"

#include "sys/mapped_file.h"

namespace quernel::sys {

Result<Json> read_json(const std::string& path) {
  QUERNEL_TRY(const MappedFile file, MappedFile::open(path));
  return parse_json(file.text(), file.path());
}

Result<Json> read_json_contained(const std::string& folder, const std::string& name) {
  QUERNEL_TRY(const MappedFile file, MappedFile::open_contained(folder, name));
  return parse_json(file.text(), file.path());
}

}  // namespace quernel::sys
