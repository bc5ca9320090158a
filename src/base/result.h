// Errors as values: Result<T>, Status and the two macros that pass an error upwards.
//
// Anything that depends on the world (files, configs, sizes, memory, user flags) returns Result<T> or Status.
// Anything that is our own bug is QUERNEL_CHECK (base/check.h). Nothing below the command line prints or aborts.
//
// Units    Error::offset is in bytes from the start of Error::file
// Threads  values; no shared state
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "base/check.h"

namespace quernel {

// What kind of fault; the command line maps each to an exit code (apps/quernel/exit_codes.h).
enum class Fault {
  invalid_argument,     // the caller asked for something impossible
  usage,                // the command line itself is wrong
  not_found,            // a file, tensor or key does not exist
  io_error,             // the system refused a read or a write
  corrupt,              // bytes contradict their own format
  unsupported,          // well formed, but nothing we can handle
  limit_exceeded,       // a limit of docs/limits.md was passed
  out_of_memory,        // the memory ceiling would be, or was, exceeded
  out_of_disk,          // no space left where the output goes
  verification_failed,  // what was written is not what was computed, or a quality gate failed
  incompatible_state,   // a work directory belongs to another job
  interrupted,          // the user asked to stop; state is saved
};

const char* to_string(Fault fault);

// One fault, with where it is and what was expected there. Empty fields are not printed.
struct Error {
  Fault fault = Fault::invalid_argument;
  std::string message;                  // one sentence, no trailing full stop
  std::string file;                     // path as the user gave it
  std::string tensor;                   // tensor or module name
  std::string field;                    // header or config field
  std::optional<std::uint64_t> offset;  // bytes from the start of file
  std::string expected;
  std::string found;
  std::string hint;  // what the user can do, or the option that overrides

  Error() = default;
  Error(Fault fault_in, std::string message_in) : fault(fault_in), message(std::move(message_in)) {}

  // Builders fill a field only while it is empty: the innermost place knows best.
  Error&& in_file(std::string value) &&;
  Error&& in_tensor(std::string value) &&;
  Error&& in_field(std::string value) &&;
  Error&& at(std::uint64_t offset_bytes) &&;
  Error&& expect(std::string expected_in, std::string found_in) &&;
  Error&& with_hint(std::string value) &&;
};

// "corrupt: header ends early [file m.safetensors, offset 8, expected 120 bytes, found 4] hint: ..."
std::string to_string(const Error& error);

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & {
    QUERNEL_CHECK(ok(), "value() of a failed Result: {}", to_string(std::get<1>(state_)));
    return std::get<0>(state_);
  }
  const T& value() const& {
    QUERNEL_CHECK(ok(), "value() of a failed Result: {}", to_string(std::get<1>(state_)));
    return std::get<0>(state_);
  }
  T&& value() && { return std::move(value()); }  // value() & checks
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  [[nodiscard]] const Error& error() const& {
    QUERNEL_CHECK(!ok(), "error() of a Result that holds a value");
    return std::get<1>(state_);
  }
  Error&& error() && {
    QUERNEL_CHECK(!ok(), "error() of a Result that holds a value");
    return std::move(std::get<1>(state_));
  }

 private:
  std::variant<T, Error> state_;
};

struct Unit {};

// Result without a value.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  [[nodiscard]] const Error& error() const& {
    QUERNEL_CHECK(!ok(), "error() of a Status that is ok");
    return *error_;
  }
  Error&& error() && {
    QUERNEL_CHECK(!ok(), "error() of a Status that is ok");
    return std::move(*error_);
  }

 private:
  std::optional<Error> error_;
};

inline Status ok_status() { return {}; }

}  // namespace quernel

#define QUERNEL_CONCAT_INNER(a, b) a##b
#define QUERNEL_CONCAT(a, b) QUERNEL_CONCAT_INNER(a, b)

// QUERNEL_TRY(auto x, f()): x is the value, or the error is returned to the caller.
#define QUERNEL_TRY(declaration, expression) \
  QUERNEL_TRY_INNER(QUERNEL_CONCAT(quernel_result_, __LINE__), declaration, expression)
#define QUERNEL_TRY_INNER(temporary, declaration, expression) \
  auto temporary = (expression);                              \
  if (!temporary.ok()) return std::move(temporary).error();   \
  declaration = std::move(temporary).value()

// QUERNEL_TRY_STATUS(f()): go on, or return the error.
#define QUERNEL_TRY_STATUS(expression)                                                                         \
  do {                                                                                                         \
    if (auto quernel_status_ = (expression); !quernel_status_.ok()) return std::move(quernel_status_).error(); \
  } while (false)
