#include "tensor/blas.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <optional>
#include <vector>

#include "base/check.h"
#include "sys/cpu.h"
#include "tensor/blas_check.h"

namespace quernel::blas {

namespace {

// Sets an environment variable while the library starts (it reads its settings once, in its constructor), then puts the
// old value back: a host program may hold another copy of OpenBLAS, which must not inherit ours.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    ::setenv(name, value, 1);
  }
  ~ScopedVariable() {
    if (before_.has_value())
      ::setenv(name_, before_->c_str(), 1);
    else
      ::unsetenv(name_);
  }
  ScopedVariable(const ScopedVariable&) = delete;
  ScopedVariable& operator=(const ScopedVariable&) = delete;

 private:
  const char* name_;
  std::optional<std::string> before_;
};

// OpenBLAS's name of the level that we use; empty where its own detection is as good. An inherited OPENBLAS_CORETYPE does not
// count: set for another program, it would halve our speed and hide from QUERNEL_ISA.
std::string core_type() {
  if (const char* chosen = std::getenv("QUERNEL_BLAS_CORE"); chosen != nullptr && *chosen != '\0') return chosen;
  for (const sys::Isa isa : sys::checked_isas()) switch (isa) {
      case sys::Isa::amx:
      case sys::Isa::avx512_bf16:
      case sys::Isa::avx512_vnni:
      case sys::Isa::avx512: return "SkylakeX";
      case sys::Isa::avx_vnni:
      case sys::Isa::avx2: return "Haswell";
      case sys::Isa::neon:
      case sys::Isa::neon_i8mm: return "";
      case sys::Isa::scalar: break;
    }
  return QUERNEL_OPENBLAS_BASE_CORE;
}

std::vector<std::string> candidate_files() {
  std::vector<std::string> files;
  if (const char* chosen = std::getenv("QUERNEL_OPENBLAS"); chosen != nullptr && *chosen != '\0') return {chosen};
  files.emplace_back("libscipy_openblas.so");  // beside the program, through its RPATH
  files.emplace_back(QUERNEL_OPENBLAS_LIBRARY);
  return files;
}

Result<void*> open_library(const std::string& type) {
  std::optional<ScopedVariable> core;
  const ScopedVariable threads("OPENBLAS_NUM_THREADS", "1");
  if (!type.empty()) core.emplace("OPENBLAS_CORETYPE", type.c_str());
  std::string tried;
  for (const std::string& file : candidate_files()) {
    // Local: its symbols must not answer for another OpenBLAS of the host program.
    if (void* handle = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL)) return handle;
    tried += fmt::format("{}{}", tried.empty() ? "" : "; ", ::dlerror());
  }
  return Error(Fault::not_found, "the matrix library OpenBLAS could not be loaded")
      .expect("libscipy_openblas.so", tried)
      .with_hint("run 'make setup', or set QUERNEL_OPENBLAS to the library file");
}

template <class Function>
Status find_symbol(void* handle, const char* name, Function& function) {
  void* symbol = ::dlsym(handle, name);
  if (symbol == nullptr)
    return Error(Fault::unsupported, "the matrix library lacks a function")
        .in_field(name)
        .with_hint("QUERNEL_OPENBLAS must name a library of the scipy-openblas32 kind");
  function = reinterpret_cast<Function>(symbol);
  return ok_status();
}

// "OpenBLAS 0.3.34" out of the configuration line that begins with it.
std::string version_of(const char* config) {
  const std::string text = config;
  const std::size_t second_space = text.find(' ', text.find(' ') + 1);
  return text.substr(0, second_space);
}

Result<Functions> find_functions(void* handle) {
  Functions functions;
  decltype(&scipy_openblas_get_config) get_config = nullptr;
  decltype(&scipy_openblas_get_corename) get_corename = nullptr;
  decltype(&scipy_openblas_set_num_threads) set_num_threads = nullptr;
  QUERNEL_TRY_STATUS(find_symbol(handle, "scipy_cblas_sgemm", functions.sgemm));
  QUERNEL_TRY_STATUS(find_symbol(handle, "scipy_cblas_ssyrk", functions.ssyrk));
  QUERNEL_TRY_STATUS(find_symbol(handle, "scipy_dpotrf_", functions.dpotrf));
  QUERNEL_TRY_STATUS(find_symbol(handle, "scipy_dtrtri_", functions.dtrtri));
  QUERNEL_TRY_STATUS(find_symbol(handle, "scipy_openblas_get_config", get_config));
  QUERNEL_TRY_STATUS(find_symbol(handle, "scipy_openblas_get_corename", get_corename));
  QUERNEL_TRY_STATUS(find_symbol(handle, "scipy_openblas_set_num_threads", set_num_threads));
  set_num_threads(1);  // where the host program had loaded this very library before
  functions.description = fmt::format("{} {}", version_of(get_config()), get_corename());
  return functions;
}

// A core that computes wrongly here gives way to the lowest one. The library chooses once, when it starts: it is closed in between.
Result<Functions> load() {
  std::string wrong;
  for (const std::string& type : {core_type(), std::string(QUERNEL_OPENBLAS_BASE_CORE)}) {
    QUERNEL_TRY(void* handle, open_library(type));
    QUERNEL_TRY(Functions functions, find_functions(handle));
    const std::string function = wrong_function(functions);
    if (function.empty()) {
      functions.description += wrong;
      return functions;
    }
    wrong += fmt::format(" ({} of {} is wrong on this machine)", function, functions.description);
    ::dlclose(handle);
  }
  return Error(Fault::unsupported, "the matrix library gives wrong results" + wrong)
      .with_hint("QUERNEL_BLAS_CORE names another core of the library, QUERNEL_OPENBLAS another library");
}

const Result<Functions>& loaded() {
  static const Result<Functions> functions = load();
  return functions;
}

}  // namespace

Status available() {
  if (!loaded().ok()) return loaded().error();
  return ok_status();
}

const Functions& functions() {
  const Result<Functions>& result = loaded();
  QUERNEL_CHECK(result.ok(), "{}", to_string(result.error()));
  return *result;
}

}  // namespace quernel::blas
