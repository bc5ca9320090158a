# quernel_wing(name SOURCES ... DEPENDS wing ... LIBRARIES lib ... [STRICT])
#   A static library quernel_<name> of one folder of src. DEPENDS lists the lower wings it may include.
#   STRICT adds sign and narrowing warnings: for wings that read files.
# quernel_isa_source(wing file isa)
#   Compiles one file of a wing with the flags of an instruction set (and without link-time optimisation).
# quernel_test(wing SOURCES ... [LIBRARIES ...])
#   One gtest program quernel_<wing>_test from tests/<wing>.

set(QUERNEL_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Wcast-qual -Woverloaded-virtual
                     -Wimplicit-fallthrough)
# clang sees through to libstdc++ 12's own use of a deprecated function in stable_sort.
list(APPEND QUERNEL_WARNINGS $<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations>)
set(QUERNEL_STRICT_WARNINGS -Wconversion -Wsign-conversion)
# Same input, same bytes: no contraction of a*b+c unless written as fma, on every compiler.
set(QUERNEL_CODE_FLAGS -ffp-contract=off -fno-math-errno)
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  list(APPEND QUERNEL_CODE_FLAGS -march=x86-64-v2)
elseif(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
  list(APPEND QUERNEL_CODE_FLAGS -march=armv8-a)
endif()
if(QUERNEL_SANITIZE)
  add_compile_options(-fsanitize=${QUERNEL_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${QUERNEL_SANITIZE})
endif()

set(QUERNEL_ISA_FLAGS_avx2 -mavx2 -mfma -mf16c -mbmi2)
set(QUERNEL_ISA_FLAGS_avx512 ${QUERNEL_ISA_FLAGS_avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512)
set(QUERNEL_ISA_FLAGS_avx_vnni ${QUERNEL_ISA_FLAGS_avx2} -mavxvnni)
set(QUERNEL_ISA_FLAGS_avx512_vnni ${QUERNEL_ISA_FLAGS_avx512} -mavx512vnni -mavx512vbmi)
set(QUERNEL_ISA_FLAGS_avx512_bf16 ${QUERNEL_ISA_FLAGS_avx512} -mavx512bf16)
set(QUERNEL_ISA_FLAGS_amx ${QUERNEL_ISA_FLAGS_avx512_bf16} -mamx-tile -mamx-int8 -mamx-bf16)
set(QUERNEL_ISA_FLAGS_neon -march=armv8.2-a+dotprod)
set(QUERNEL_ISA_FLAGS_neon_i8mm -march=armv8.2-a+dotprod+i8mm)

function(quernel_wing name)
  cmake_parse_arguments(WING "STRICT" "" "SOURCES;DEPENDS;LIBRARIES" ${ARGN})
  set(target quernel_${name})
  add_library(${target} STATIC ${WING_SOURCES})
  target_include_directories(${target} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  target_compile_options(${target} PRIVATE ${QUERNEL_WARNINGS} ${QUERNEL_CODE_FLAGS}
                         $<$<BOOL:${QUERNEL_WERROR}>:-Werror> $<$<BOOL:${WING_STRICT}>:${QUERNEL_STRICT_WARNINGS}>)
  list(TRANSFORM WING_DEPENDS PREPEND quernel_)
  target_link_libraries(${target} PUBLIC ${WING_DEPENDS} fmt::fmt ${WING_LIBRARIES})
endfunction()

function(quernel_isa_source name file isa)
  if(QUERNEL_FUZZ)
    # Fuzzing is about readers; kernels meet sanitizers in the asan-ubsan preset, where they take minutes a file.
    list(APPEND QUERNEL_ISA_FLAGS_${isa} -fno-sanitize=all)
  elseif(QUERNEL_SANITIZE MATCHES thread)
    # Leaves share nothing but what their callers give them; instrumented they take many minutes a file.
    list(APPEND QUERNEL_ISA_FLAGS_${isa} -fno-sanitize=thread)
  elseif(QUERNEL_SANITIZE MATCHES undefined)
    # Hundreds of unrolled products with a check at every addition take half an hour a file; addresses stay checked. (g++ 12 does not come
    # to an end with addresses either: the presets take clang.)
    list(APPEND QUERNEL_ISA_FLAGS_${isa} -fno-sanitize=undefined)
  endif()
  set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS "${QUERNEL_ISA_FLAGS_${isa}}"
                              INTERPROCEDURAL_OPTIMIZATION OFF)
endfunction()

function(quernel_test wing)
  cmake_parse_arguments(TEST "" "" "SOURCES;LIBRARIES" ${ARGN})
  set(target quernel_${wing}_test)
  add_executable(${target} ${TEST_SOURCES})
  # Tests wait for what they call, not for themselves: -O1 takes a quarter less of the compiler than -O3.
  target_compile_options(${target} PRIVATE ${QUERNEL_WARNINGS} ${QUERNEL_CODE_FLAGS} -O1
                         $<$<BOOL:${QUERNEL_WERROR}>:-Werror>)
  if(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
    # g++ 12 for aarch64 breaks off with an internal error in the vectorizer on reductions of some tests.
    target_compile_options(${target} PRIVATE -fno-tree-vectorize)
  endif()
  target_compile_definitions(${target} PRIVATE QUERNEL_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_link_libraries(${target} PRIVATE quernel_${wing} ${TEST_LIBRARIES} GTest::gtest_main GTest::gmock)
  gtest_discover_tests(${target} TEST_PREFIX ${wing}/ DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 120)
endfunction()
