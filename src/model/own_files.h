// Names of files that parts of this program keep in a model's folder and that are no part of the checkpoint.
#pragma once

namespace quernel::model {

inline constexpr const char* kPackedFile = "model.packed";  // of the integer runtime (engine/packed_cache)

}  // namespace quernel::model
