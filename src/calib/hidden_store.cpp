#include "calib/hidden_store.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/checked.h"

namespace quernel::calib {

namespace {

Error system_error(Fault fault, const char* what, int code) {
  return {fault, fmt::format("{}: {}", what, std::strerror(code))};
}

// A file without a name, `bytes` long, its blocks reserved.
Result<int> open_spill_file(const std::string& folder, std::size_t bytes) {
  std::string path = folder + "/spill.XXXXXX";
  const int descriptor = ::mkostemp(path.data(), O_CLOEXEC);
  if (descriptor < 0) return system_error(Fault::io_error, "cannot create a spill file", errno).in_file(folder);
  ::unlink(path.c_str());
  const int code = ::posix_fallocate(descriptor, 0, static_cast<off_t>(bytes));
  if (code == 0) return descriptor;
  ::close(descriptor);
  const bool full = code == ENOSPC || code == EDQUOT || code == EFBIG;
  Error error = system_error(full ? Fault::out_of_disk : Fault::io_error, "cannot reserve a spill file", code);
  return std::move(error)
      .in_file(folder)
      .expect(fmt::format("{} free bytes", bytes), std::strerror(code))
      .with_hint("use another work folder, fewer samples, or a higher memory ceiling");
}

}  // namespace

Result<HiddenStore> HiddenStore::create(std::int64_t rows, std::int64_t width,
                                        const std::optional<std::string>& spill_folder) {
  QUERNEL_CHECK(rows > 0 && width > 0, "{} x {}", rows, width);
  const auto elements = checked_mul(static_cast<std::size_t>(rows), static_cast<std::size_t>(width));
  const auto bytes = elements ? checked_mul(*elements, sizeof(float)) : std::nullopt;
  if (!bytes)
    return Error(Fault::limit_exceeded, fmt::format("activations of {} x {} do not fit an address", rows, width));
  int descriptor = -1;
  if (spill_folder.has_value()) {
    QUERNEL_TRY(descriptor, open_spill_file(*spill_folder, *bytes));
  }
  const int flags = descriptor >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
  void* data = ::mmap(nullptr, *bytes, PROT_READ | PROT_WRITE, flags, descriptor, 0);
  const int code = errno;
  if (descriptor >= 0) ::close(descriptor);
  if (data == MAP_FAILED) return system_error(Fault::out_of_memory, "cannot map calibration activations", code);
  HiddenStore store;
  store.data_ = static_cast<float*>(data);
  store.rows_ = rows;
  store.width_ = width;
  store.mapped_bytes_ = *bytes;
  store.spilled_ = spill_folder.has_value();
  return store;
}

HiddenStore::~HiddenStore() { unmap(); }

HiddenStore::HiddenStore(HiddenStore&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      rows_(std::exchange(other.rows_, 0)),
      width_(std::exchange(other.width_, 0)),
      mapped_bytes_(std::exchange(other.mapped_bytes_, 0)),
      spilled_(std::exchange(other.spilled_, false)) {}

HiddenStore& HiddenStore::operator=(HiddenStore&& other) noexcept {
  if (this != &other) {
    unmap();
    data_ = std::exchange(other.data_, nullptr);
    rows_ = std::exchange(other.rows_, 0);
    width_ = std::exchange(other.width_, 0);
    mapped_bytes_ = std::exchange(other.mapped_bytes_, 0);
    spilled_ = std::exchange(other.spilled_, false);
  }
  return *this;
}

void HiddenStore::release(std::int64_t first_row, std::int64_t num_rows) const {
  QUERNEL_CHECK(first_row >= 0 && num_rows >= 0 && first_row + num_rows <= rows_);
  if (!spilled_) return;
  // Whole pages inside the rows only: neighbours may be in use.
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t row_bytes = static_cast<std::size_t>(width_) * sizeof(float);
  const std::size_t begin = (static_cast<std::size_t>(first_row) * row_bytes + page - 1) / page * page;
  const std::size_t end = static_cast<std::size_t>(first_row + num_rows) * row_bytes / page * page;
  if (begin >= end) return;
  char* base = reinterpret_cast<char*>(data_);
  ::msync(base + begin, end - begin, MS_ASYNC);
  ::madvise(base + begin, end - begin, MADV_DONTNEED);  // a shared mapping keeps its contents in the file
}

void HiddenStore::unmap() {
  if (data_ != nullptr) ::munmap(data_, mapped_bytes_);
  data_ = nullptr;
}

}  // namespace quernel::calib
