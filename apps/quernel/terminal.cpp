#include "quernel/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iostream>

namespace quernel::app {

namespace {

bool is_live_terminal() {
  const char* term = std::getenv("TERM");
  return ::isatty(STDERR_FILENO) != 0 && term != nullptr && std::string(term) != "dumb";
}

std::size_t terminal_width() {
  constexpr std::size_t kFallback = 80;
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kFallback;
}

std::string duration(double seconds) {
  constexpr int kMinute = 60;
  std::array<char, 32> text{};
  if (seconds < 0) return "?";
  const long whole = std::lround(seconds);
  if (whole < kMinute)
    std::snprintf(text.data(), text.size(), seconds < 9.95 ? "%.1f s" : "%.0f s", seconds);
  else
    std::snprintf(text.data(), text.size(), "%ld min %02ld s", whole / kMinute, whole % kMinute);
  return text.data();
}

std::string megabytes(std::uint64_t bytes) { return std::to_string(bytes / 1'000'000) + " MB"; }

// "model.layers.5.self_attn.q_proj" -> "layers.5.self_attn.q_proj"
std::string short_name(const std::string& name) { return name.starts_with("model.") ? name.substr(6) : name; }

std::string pad(std::string text, std::size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

std::string counter(const api::Progress& progress) {
  if (progress.total <= 0) return std::to_string(progress.done);
  const std::string total = std::to_string(progress.total);
  std::string done = std::to_string(progress.done);
  done.insert(0, total.size() - std::min(total.size(), done.size()), ' ');
  return done + "/" + total;
}

std::string bar(const api::Progress& progress) {
  constexpr std::int64_t kCells = 20;
  if (progress.total <= 0) return "";
  const auto filled = std::clamp<std::int64_t>(progress.done * kCells / progress.total, 0, kCells);
  std::string cells = "[";
  for (std::int64_t i = 0; i < kCells; ++i) cells += i < filled ? '#' : '.';
  return cells + "] ";
}

}  // namespace

ProgressPrinter::ProgressPrinter(const std::string& mode)
    : silent_(mode == "none"), live_(mode == "auto" && is_live_terminal()) {}

ProgressPrinter::~ProgressPrinter() { clear_live_line(); }

api::Observer ProgressPrinter::observer() {
  api::Observer observer;
  observer.on_warning = [this](const std::string& text) { print_line("warning: " + text); };
  if (silent_) return observer;
  observer.on_progress = [this](const api::Progress& progress) { show(progress); };
  observer.on_note = [this](const std::string& text) { print_line(text); };
  return observer;
}

void ProgressPrinter::show(const api::Progress& progress) {
  std::string line = progress.stage + " " + counter(progress);
  const std::string left = progress.remaining_seconds >= 0 && progress.done != progress.total
                               ? "  left " + duration(progress.remaining_seconds)
                               : "";
  if (live_) {
    line = bar(progress) + line + left + "  " + short_name(progress.item) + "  " + progress.detail;
    std::cerr << "\r\x1b[K" << line.substr(0, terminal_width() - 1) << std::flush;
    line_shown_ = true;
    return;
  }
  if (!progress.item.empty()) line += "  " + pad(short_name(progress.item), 32);
  if (!progress.detail.empty()) line += "  " + progress.detail;
  if (progress.item_seconds > 0) line += "  " + duration(progress.item_seconds);
  if (progress.resident_bytes > 0) line += "  " + megabytes(progress.resident_bytes);
  std::cerr << line << left << '\n';
}

void ProgressPrinter::print_line(const std::string& text) {
  clear_live_line();
  std::cerr << text << '\n';
}

void ProgressPrinter::clear_live_line() {
  if (line_shown_) std::cerr << "\r\x1b[K" << std::flush;
  line_shown_ = false;
}

}  // namespace quernel::app
