#include "runtime/workspace.h"

#include <algorithm>

namespace quernel::runtime {
namespace {

constexpr std::int64_t kAlignFloats = 16;                 // 64 bytes
constexpr std::int64_t kMinSlab = std::int64_t{1} << 20;  // 4 MiB: small takes share a slab

}  // namespace

Workspace::Frame::Frame(Workspace* workspace)
    : own_(workspace == nullptr ? std::make_unique<Workspace>() : nullptr),
      workspace_(workspace == nullptr ? *own_ : *workspace),
      slab_(workspace_.slab_),
      used_(workspace_.used_) {}

Workspace::Frame::~Frame() {
  workspace_.slab_ = slab_;
  workspace_.used_ = used_;
}

MatrixView Workspace::Frame::take(std::int64_t rows, std::int64_t cols) {
  const std::int64_t size = (rows * cols + kAlignFloats - 1) / kAlignFloats * kAlignFloats;
  Workspace& space = workspace_;
  while (space.slab_ < space.slabs_.size() && space.used_ + size > space.slabs_[space.slab_].size) {
    // A slab that nobody uses yet is too small for now and for ever: a larger one takes its place.
    if (space.used_ == 0) {
      space.slabs_.erase(space.slabs_.begin() + static_cast<std::ptrdiff_t>(space.slab_));
      continue;
    }
    ++space.slab_;
    space.used_ = 0;
  }
  if (space.slab_ == space.slabs_.size()) {
    const std::int64_t slab_size = std::max(size, kMinSlab);
    space.slabs_.push_back({allocate_aligned<float>(slab_size), slab_size});
    space.used_ = 0;
  }
  float* data = space.slabs_[space.slab_].data.get() + space.used_;
  space.used_ += size;
  return {data, rows, cols};
}

std::uint64_t Workspace::bytes() const {
  std::uint64_t floats = 0;
  for (const Slab& slab : slabs_) floats += static_cast<std::uint64_t>(slab.size);
  return floats * sizeof(float);
}

}  // namespace quernel::runtime
