// How many workers take part in passes of few tokens: one less while another process holds a core.
//
// Such a pass is cut statically and meets at a barrier hundreds of times: where one of two workers waits for its time slice, both wait.
// Times of passes tell: where they stay above what the full crew could do, a smaller one is tried, and whichever is faster goes on.
// Results are the same bits for every number of workers, so only time depends on it.
//
// Units    seconds; work: bytes that the pass reads, so that passes of any context compare
// Threads  one thread
#pragma once

#include <cstdint>

namespace quernel::engine {

class Crew {
 public:
  explicit Crew(int most) : most_(most), size_(most) {}

  [[nodiscard]] int size() const { return size_; }  // of the next pass
  void ran(double seconds, double work);            // that pass

 private:
  void begin(int size);

  int most_;
  int size_;
  double best_ = 0.0;        // seconds a unit of work of the full crew when nothing disturbed it; 0: not known
  double mean_ = 0.0;        // of the present size, over tens of passes: one that was held up says nothing
  double other_ = 0.0;       // of the size left last; 0: not known
  std::int64_t passes_ = 0;  // since size_ was chosen
  double since_ = 0.0;       // seconds since then
  double patience_ = 0.0;    // until a smaller crew tries the full one again
};

}  // namespace quernel::engine
