# Turns a data file into a C++ source with its bytes: cmake -DINPUT=... -DOUTPUT=... -DNAME=MixedV1 -P embed.cmake
file(READ ${INPUT} hex HEX)
string(LENGTH "${hex}" digits)
math(EXPR size "${digits} / 2")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
file(WRITE ${OUTPUT} "#include <cstddef>
namespace quernel::calib {
extern const unsigned char k${NAME}Bytes[];
extern const std::size_t k${NAME}Size;
const unsigned char k${NAME}Bytes[] = {
${bytes}0};
const std::size_t k${NAME}Size = ${size};
}  // namespace quernel::calib
")
