// Result to the public contract: the exception, and the exit code it stands for.
#pragma once

#include <utility>

#include "base/result.h"
#include "quernel/quernel.h"

namespace quernel::api {

[[noreturn]] void raise(const Error& error);

template <class T>
T take(Result<T> result) {
  if (!result.ok()) raise(result.error());
  return std::move(result).value();
}

inline void take(const Status& status) {
  if (!status.ok()) raise(status.error());
}

}  // namespace quernel::api
