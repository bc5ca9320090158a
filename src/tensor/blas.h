// OpenBLAS, loaded at run time. Only linalg.cpp calls it; everybody else asks blas_available() of linalg.h.
//
// Choice   OPENBLAS_CORETYPE follows sys::checked_isas(), so that QUERNEL_ISA rules the library too; a value that was set
//          for other programs does not count. QUERNEL_BLAS_CORE forces a core, QUERNEL_OPENBLAS names another file.
// Checked  before it is used (blas_check.h); a core that computes wrongly on this machine is replaced by the lowest one, which the description
//          says
// Exact    one thread a call: the library's own threads would change the order of its sums
// Threads  functions() may be called from any thread; the first call loads the library
#pragma once

#include <cblas.h>

#include <string>

#include "base/result.h"

namespace quernel::blas {

// LAPACK's Fortran interface with 32-bit integers; the hidden lengths of character arguments come last.
using Potrf = void (*)(const char* uplo, const int* n, double* a, const int* lda, int* info, std::size_t uplo_length);
using Trtri = void (*)(const char* uplo, const char* diag, const int* n, double* a, const int* lda, int* info,
                       std::size_t uplo_length, std::size_t diag_length);

struct Functions {
  decltype(&scipy_cblas_sgemm) sgemm = nullptr;
  decltype(&scipy_cblas_ssyrk) ssyrk = nullptr;
  Potrf dpotrf = nullptr;
  Trtri dtrtri = nullptr;
  std::string description;  // "OpenBLAS 0.3.34 SkylakeX", and what was replaced
};

// Errors: not_found with every file that was tried and the loader's words; unsupported where a function is missing or wrong.
Status available();
// Checks that the library is there.
const Functions& functions();

}  // namespace quernel::blas
