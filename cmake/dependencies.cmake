# Every library the C++ code uses: why it is there, which version, what would replace it. scripts/setup installs them.
find_package(Threads REQUIRED)

# fmt 9.1 (Debian): std::format is not in g++ 12. Linked, not header-only: that takes a third less of the compiler's time.
find_package(fmt 9 REQUIRED)

# nlohmann-json 3.11 (Debian): JSON with key order kept. simdjson would be faster, but cannot write or keep order.
find_package(nlohmann_json 3.11 REQUIRED)

# OpenSSL 3.0 libcrypto (Debian): SHA-256 with the CPU's own instructions.
find_package(OpenSSL 3.0 REQUIRED COMPONENTS Crypto)

# xxHash 0.8 (Debian), header only: sums over packed weights at the speed of memory; CRC32 would find less, SHA-256 takes five times as long.
find_path(QUERNEL_XXHASH xxhash.h REQUIRED)

# OpenBLAS 0.3.34 (wheel scipy-openblas32 from PyPI: Debian's 0.3.21 lacks kernels for current CPUs). Only its header is used
# at build time; the library is loaded at run time (src/tensor/blas.cpp), after the CPU level is known.
set(QUERNEL_OPENBLAS_DIR ${QUERNEL_DEPS_DIR}/${CMAKE_SYSTEM_PROCESSOR}/scipy_openblas32)
if(NOT EXISTS ${QUERNEL_OPENBLAS_DIR}/lib/libscipy_openblas.so)
  message(FATAL_ERROR "OpenBLAS is not in ${QUERNEL_OPENBLAS_DIR}: run 'make setup' (or 'make setup-arm' for aarch64)")
endif()

if(NOT QUERNEL_PORTABLE_ONLY)
  # CLI11 2.1 (Debian): sub-commands, validators, environment variables.
  find_package(CLI11 2.1 REQUIRED)
  # PCRE2 10.42 (Debian): regular expressions of --ignore and of pre-tokenizers; it has the look-aheads that RE2 lacks.
  find_library(QUERNEL_PCRE2 pcre2-8 REQUIRED)
  # utf8proc 2.8 (Debian): Unicode categories and NFC; ICU would be thirty times the size.
  find_library(QUERNEL_UTF8PROC utf8proc REQUIRED)
endif()

if(QUERNEL_TESTS)
  # googletest 1.12 (Debian, as source): built with the project's own flags, so that sanitizers and cross builds work.
  set(INSTALL_GTEST OFF CACHE INTERNAL "")
  add_subdirectory(/usr/src/googletest ${CMAKE_BINARY_DIR}/googletest EXCLUDE_FROM_ALL SYSTEM)
  include(GoogleTest)
endif()
