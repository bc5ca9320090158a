#include "api/failure.h"

namespace quernel::api {

namespace {

FailureKind kind_of(Fault fault) {
  switch (fault) {
    case Fault::usage: return FailureKind::usage;
    case Fault::not_found:
    case Fault::corrupt:
    case Fault::unsupported:
    case Fault::limit_exceeded: return FailureKind::bad_model;
    case Fault::out_of_memory:
    case Fault::out_of_disk: return FailureKind::resources;
    case Fault::verification_failed: return FailureKind::verification;
    case Fault::incompatible_state: return FailureKind::incompatible;
    case Fault::interrupted: return FailureKind::interrupted;
    case Fault::invalid_argument:
    case Fault::io_error: return FailureKind::run_time;
  }
  return FailureKind::run_time;
}

}  // namespace

void raise(const Error& error) { throw Failure(kind_of(error.fault), to_string(error)); }

}  // namespace quernel::api
