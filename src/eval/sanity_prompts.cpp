#include <array>

#include "eval/sanity.h"

namespace quernel::eval {

std::span<const char* const> sanity_prompts() {
  static constexpr std::array kPrompts = {
      "The capital of France is",
      "Water boils at a temperature of",
      "Once upon a time, in a village by the sea, there lived",
      "The three primary colours are",
      "To make a cup of tea, first",
      "Question: What is seven plus five?\nAnswer:",
      "Question: Which planet is closest to the sun?\nAnswer:",
      "User: My train is late again.\nAssistant:",
      "Dear Ms. Harper,\n\nThank you for your letter of",
      "A short list of fruits:\n1. Apple\n2.",
      "The opposite of hot is cold. The opposite of tall is",
      "In 1969, two men walked on",
      "She opened the old wooden door and saw",
      "The recipe needs 200 grams of flour, two eggs and",
      "Monday, Tuesday, Wednesday,",
      "2, 4, 6, 8,",
      "def fibonacci(n):\n",
      "#include <stdio.h>\n\nint main(void) {\n",
      "SELECT name, age FROM people WHERE",
      "{\"name\": \"Ada\", \"born\": 1815, \"works\": [",
      "대한민국의 수도는",
      "La capitale de l'Italie est",
      "Der schnelle braune Fuchs springt über",
      "El sol sale por el este y se pone por",
  };
  return kPrompts;
}

}  // namespace quernel::eval
