// The folder that a checkpoint goes to: whether we may write there, what is cleared first, and its list of checksums.
//
// Ours     a folder that does not exist, is empty, or holds quernel/manifest.json of our schema
// Errors   invalid_argument: the folder is not ours, lies inside the source, or holds it; io_error
// Threads  one job a folder; the caller holds the job's lock
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace quernel::exporting {

enum class Existing {
  refuse,     // the folder must be new or empty
  overwrite,  // a checkpoint of ours is removed and written anew; also what a resumed job asks for
};

// Refuses what must not be written to; changes nothing.
Status check_output(const std::string& folder, const std::string& source_path, Existing existing);

// check_output, then creates the folder, takes away what an older job of ours left (model files first, so that no
// mixture can be loaded) and leaves an incomplete manifest as the mark of this one. Other files under quernel/ stay.
Status prepare_output(const std::string& folder, const std::string& source_path, Existing existing,
                      const std::string& tool);

// quernel/SHA256SUMS over every file beneath the folder but itself, in the form that `sha256sum -c` reads, sorted by
// path. To be called after the last file is written.
Status write_checksums(const std::string& folder);

// What quernel/SHA256SUMS should say for the files that are there now.
Result<std::string> checksums_of(const std::string& folder);

// Paths of regular files beneath the folder, relative, sorted; quernel/SHA256SUMS and what the runtime packed left out. Errors: corrupt for
// anything that is neither a file nor a folder.
Result<std::vector<std::string>> files_beneath(const std::string& folder);

}  // namespace quernel::exporting
