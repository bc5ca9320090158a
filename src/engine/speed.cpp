#include "engine/speed.h"

#include "base/rng.h"
#include "sys/clock.h"

namespace quernel::engine {
namespace {

std::vector<std::int32_t> random_tokens(std::int64_t count, std::int64_t vocab) {
  CounterRng rng(1, "speed");
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(count));
  for (std::int32_t& token : tokens) token = static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(vocab)));
  return tokens;
}

struct Room {
  std::vector<PagedCache> caches;
  Matrix hidden;
  Matrix logits;
};

// Each cache back to `depth` tokens; anew where windows have moved on too far.
Status prepare(IntModel& model, Room& room, const SpeedCase& what) {
  for (PagedCache& cache : room.caches) {
    if (!cache.reaches(what.depth)) cache = model.make_cache();
    if (cache.length() > what.depth) QUERNEL_TRY_STATUS(cache.cut(what.depth));
    if (cache.length() == what.depth) continue;
    const std::int64_t count = what.depth - cache.length();
    const Span span{&cache, count};
    Matrix hidden = Matrix::uninitialized(count, model.config().hidden_size);
    QUERNEL_TRY_STATUS(model.forward(random_tokens(count, model.config().vocab_size), {&span, 1}, hidden));
  }
  return ok_status();
}

Status read_prompt(IntModel& model, Room& room, const SpeedCase& what) {
  std::vector<Span> spans;
  for (PagedCache& cache : room.caches) spans.push_back({&cache, what.prompt});
  const std::int64_t rows = what.prompt * what.batch;
  QUERNEL_TRY_STATUS(model.forward(random_tokens(rows, model.config().vocab_size), spans, room.hidden));
  model.logits(room.hidden.view().row_block(rows - 1, 1), room.logits.view().row_block(0, 1));
  return ok_status();
}

Status generate(IntModel& model, Room& room, const SpeedCase& what) {
  std::vector<Span> spans;
  for (PagedCache& cache : room.caches) spans.push_back({&cache, 1});
  const std::vector<std::int32_t> tokens = random_tokens(what.generate * what.batch, model.config().vocab_size);
  for (std::int64_t step = 0; step < what.generate; ++step) {
    const auto now =
        std::span(tokens).subspan(static_cast<std::size_t>(step * what.batch), static_cast<std::size_t>(what.batch));
    QUERNEL_TRY_STATUS(model.forward(now, spans, room.hidden.view().row_block(0, what.batch)));
    model.logits(room.hidden.view().row_block(0, what.batch), room.logits);
  }
  return ok_status();
}

}  // namespace

Result<SpeedResult> measure_speed(IntModel& model, const SpeedCase& what, int repeats, PassProfile* profile) {
  SpeedResult result;
  result.what = what;
  result.tokens = (what.prompt > 0 ? what.prompt : what.generate) * what.batch;
  Room room;
  for (std::int64_t b = 0; b < what.batch; ++b) room.caches.push_back(model.make_cache());
  room.hidden = Matrix(what.prompt > 0 ? what.prompt * what.batch : what.batch, model.config().hidden_size);
  room.logits = Matrix(what.batch, model.config().vocab_size);
  for (int repeat = 0; repeat <= repeats; ++repeat) {
    QUERNEL_TRY_STATUS(prepare(model, room, what));
    const bool counts = repeat > 0;
    if (counts) model.set_profile(profile);
    const sys::Stopwatch watch;
    const Status done = what.prompt > 0 ? read_prompt(model, room, what) : generate(model, room, what);
    const double seconds = watch.seconds();
    model.set_profile(nullptr);
    QUERNEL_TRY_STATUS(done);
    if (counts) result.seconds.push_back(seconds);
  }
  return result;
}

}  // namespace quernel::engine
