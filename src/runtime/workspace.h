// Memory for intermediate results that is kept from call to call: fresh pages cost more than the arithmetic on them.
//
// Use      a Workspace::Frame gives matrices until it goes out of scope; frames nest like the calls they live in
// Threads  one thread at a time
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "tensor/matrix.h"

namespace quernel::runtime {

class Workspace {
 public:
  class Frame {
   public:
    explicit Frame(Workspace* workspace);  // null: memory of the frame's own
    ~Frame();
    Frame(const Frame&) = delete;
    Frame& operator=(const Frame&) = delete;

    MatrixView take(std::int64_t rows, std::int64_t cols);  // contents undefined, 64-byte aligned

   private:
    std::unique_ptr<Workspace> own_;
    Workspace& workspace_;
    std::size_t slab_;
    std::int64_t used_;
  };

  [[nodiscard]] std::uint64_t bytes() const;  // reserved so far

 private:
  struct Slab {
    std::unique_ptr<float[], AlignedFree> data;
    std::int64_t size = 0;  // floats
  };
  std::vector<Slab> slabs_;
  std::size_t slab_ = 0;   // current one
  std::int64_t used_ = 0;  // floats of it
};

}  // namespace quernel::runtime
