#include "engine/calibration.hpp"

#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <sstream>
#include <vector>

#include "engine/calibration_samples.hpp"
#include "engine/layer_pass.hpp"
#include "engine/projection.hpp"
#include "kernels/base/error.hpp"
#include "storage/async_io.hpp"

namespace strata {

namespace {

constexpr std::size_t kSampleStores = 8;
constexpr std::size_t kSampleChunks = 32;   // of a dense pass
constexpr std::size_t kProductChunks = 16;  // of each shard
constexpr std::uint64_t kLargestSample = std::uint64_t{128} << 20, kSmallestSample = std::uint64_t{4} << 20;
// Memory that was given back costs at least this a byte when it comes again: where the host of a virtual machine takes
// what its guest frees, a sample of memory that was never used yet does not show it.
constexpr double kLeastFreshSeconds = 0.5e-9;
constexpr std::size_t kFileUnit = std::size_t{256} << 10;

// Writes or reads the whole file, many requests in flight; bytes a second.
double transfer(AsyncIo& io, AsyncIo::Kind kind, const File& file, std::uint64_t bytes, std::span<std::byte> unit) {
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t open = bytes / unit.size();
  std::exception_ptr failure;
  const double seconds = seconds_of([&] {
    for (std::uint64_t at = 0; at < bytes; at += unit.size()) {
      io.submit(kind, file, at, {&unit, 1}, [&](const std::exception_ptr& error) {
        const std::lock_guard lock(mutex);
        if (error) failure = error;
        if (--open == 0) changed.notify_one();
      });
    }
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return open == 0; });
  });
  if (failure) std::rethrow_exception(failure);
  return static_cast<double>(bytes) / seconds;
}

fs::path existing_above(fs::path path) {
  while (!path.empty() && !fs::is_directory(path) && path.has_parent_path() && path != path.parent_path()) {
    path = path.parent_path();
  }
  return fs::is_directory(path) ? path : fs::path(".");
}

}  // namespace

template <class T>
double Calibration<T>::seconds_each(const std::string& what) {
  const auto found = known_.find(what);
  if (found != known_.end()) return found->second;
  return known_[what] = measure(what);
}

// The names that the passes give: "forward 2", "backward 3 with inputs", "edges 128 fp16", ...
template <class T>
double Calibration<T>::measure(const std::string& what) {
  std::istringstream words(what);
  std::string kind, codec_word, word;
  std::size_t number = 0;
  words >> kind;
  while (words >> word) {
    if (number == 0 && word.find_first_not_of("0123456789") == std::string::npos) {
      number = std::stoul(word);
    } else if (number == 0) {
      kind += " " + word;
    } else if (codec_word.empty()) {
      codec_word = word;
    }
  }
  if (kind == "copied bytes") return copy();
  if (kind == "fresh bytes") return fresh();
  if (kind == "opened nodes") return opened();
  if (kind == "mapped nodes") return mapped();
  if (kind == "scaled nodes") return scaled();
  if (kind == "edges" || kind == "scatter edges") {
    Codec codec = Codec::fp32;
    static_cast<void>(parse_codec(codec_word.c_str(), codec));
    return kind == "edges" ? product(number, codec) : scatter(number, codec);
  }
  if (kind == "skipped edges") return scatter(0, Codec::fp32);
  if (kind == "rows out") return copy() * static_cast<double>(number) * 2 * sizeof(T);
  STRATA_ASSERT(number >= 1 && number <= session_.model.layers.size());
  return dense(codec_word == "with" ? kind + " with inputs" : kind, number - 1);
}

// The pass itself, on row stores of a few chunks.
template <class T>
double Calibration<T>::dense(const std::string& kind, std::size_t layer) {
  const LayerSpec& spec = session_.model.layers[layer];
  // Few enough that they stay in memory.
  const std::uint64_t chunk_bytes = kSampleStores * kChunkRows * std::max(spec.in, spec.out) * sizeof(T);
  const std::size_t chunks = std::clamp<std::uint64_t>(session_.budget.limit() / 4 / chunk_bytes, 2, kSampleChunks);
  const std::size_t rows = std::min<std::size_t>(session_.nodes(), chunks * kChunkRows);
  const RowMap map = RowMap::identity(rows);
  const PassRows all(map, RowPart::train);
  const auto filled = [&](std::size_t cols, Codec codec) {
    RowStore store = session_.buffers.create("sample", {rows, cols, codec});
    for (std::size_t c = 0; c < store.shape().chunks(); ++c) {
      for (std::size_t p = 0; p < store.shape().panels(); ++p) {
        const Pin pin = store.pin_overwrite(c, p);
        std::memset(pin.bytes().data(), 0x21, pin.bytes().size());  // small numbers in every codec
      }
    }
    return store;
  };
  const Codec codec = session_.options.codec, alpha_codec = session_.options.alpha_codec;
  const RowStore z = filled(spec.z_width(), codec), x = filled(spec.in, codec);
  const RowStore skip = spec.skip > 0 ? filled(spec.out, codec) : RowStore();
  const RowStore alpha = filled(spec.out, alpha_codec);
  RowStore y = filled(spec.out, codec), dz = filled(spec.z_width(), alpha_codec), dx = filled(spec.in, alpha_codec);
  LayerInputs inputs;
  inputs.z = z;
  if (spec.has_root()) inputs.root = x;
  if (skip) inputs.skip = skip;
  if (spec.initial) inputs.initial = x;
  const bool is_top = layer + 1 == session_.model.layers.size();
  // A layer that emits logits keeps them exact.
  RowStore initial = spec.initial ? session_.make_exact("sample", rows, spec.in) : RowStore();
  RowStore logits = is_top ? session_.make_exact("sample", rows, spec.out) : RowStore();
  const auto run = [&] {
    if (kind == "forward") {
      const Masks masks{false, 0, 0, session_.options.method == MethodKind::full};
      forward_pass<T>(session_, layer, all, inputs, masks, RowSink<T>{is_top ? &logits : &y, nullptr, true, 0});
      return;
    }
    if (kind == "project") {
      project_forward<T>(session_, layer, x, RowSink<T>{&y, nullptr, true, 0});
      return;
    }
    if (kind == "project back") {
      project_backward<T>(session_, layer, x, alpha, {}, dx);
      return;
    }
    BackwardPass<T> pass;
    pass.layer = layer;
    pass.map = &map;
    pass.inputs = inputs;
    const bool training = kind != "backward with inputs";
    pass.masks = {session_.model.has_dropout() && training, 0, 0, training};
    pass.statistics_known = kind.starts_with("gradients");
    pass.alpha = is_top ? nullptr : &alpha;
    if (spec.skipped_over) pass.above = dx;
    pass.parameters = !kind.starts_with("backward");
    if (kind.ends_with("with inputs")) pass.dz.store = &dz;
    if (kind.ends_with("with inputs") && spec.has_root()) pass.dx = &dx;
    if (kind.ends_with("with inputs") && spec.initial) pass.initial = {{}, &initial, false};
    static_cast<void>(backward_pass<T>(session_, pass));
  };
  const double seconds = best_of_two(run) / static_cast<double>(rows);
  for (std::size_t g = 0; g < session_.parameters.groups(); ++g) session_.parameters.zero_gradients(g);
  return seconds;
}

// Some shards' edges over a table of as many rows as the graph has nodes.
template <class T>
double Calibration<T>::product(std::size_t cols, Codec codec) {
  const std::size_t stride = encoded_row_bytes(codec, cols);
  const std::size_t table_rows =
      std::clamp<std::uint64_t>(session_.spmm_memory.gather_limit / stride, 1, session_.nodes());
  const std::uint64_t bytes = table_rows * stride;
  Buffer table(session_.budget, bytes, "a sample of what SpMM gathers", true);
  session_.workers.for_each(divide_up(bytes, std::size_t{1} << 20), [&](std::size_t i) {
    const std::size_t begin = i << 20;
    std::memset(table.data() + begin, 0x21, std::min<std::size_t>(std::size_t{1} << 20, bytes - begin));
  });
  const EncodedRows x{codec, table.data(), table_rows, cols, stride};
  const EdgeScale<T> scale = session_.graph_for(GraphUse::evaluation).scale(false);
  const bool scales = scale.source != nullptr && session_.spmm_memory.wants_scaled(codec, cols, table_rows);
  ScratchMemory::Use scratch(session_.scratch);
  std::vector<std::span<T>> tiles;
  std::vector<EdgeSpace> spaces;
  for (std::size_t s = 0; s < session_.workers.slots(); ++s) {
    tiles.push_back(scratch.take<T>(s, kChunkRows * cols));
    spaces.emplace_back(session_.budget);
  }
  const auto time = [&](const Shard& shard, std::size_t rows) {
    std::vector<std::uint32_t> to_row(shard.locals().begin(), shard.locals().end());
    for (std::uint32_t& row : to_row) row = static_cast<std::uint32_t>(row % table_rows);
    std::vector<ScaledRow> scaled(scales ? to_row.size() : 0);
    for (std::size_t i = 0; i < scaled.size(); ++i) {
      scaled[i] = {to_row[i], static_cast<float>(scale.source[to_row[i]])};
    }
    const auto work = [&](std::size_t chunk, std::size_t slot) {
      const std::size_t first = chunk * kChunkRows, count = std::min(kChunkRows, rows - first);
      SparseRows edges_of_chunk = shard.rows(first, count, spaces[slot]);
      edges_of_chunk.to_row = to_row.data();
      edges_of_chunk.scaled = scales ? scaled.data() : nullptr;
      cpu::spmm<T>(edges_of_chunk, scale, x, {tiles[slot].data(), count, cols});
    };
    return seconds_of(
        [&] { session_.workers.ordered(divide_up(rows, kChunkRows), {.before = {}, .work = work, .reduce = {}}); });
  };
  return seconds_an_edge(session_.graph_for(GraphUse::evaluation), false, kProductChunks * kChunkRows, time);
}

// Of a byte of memory that the system hands out, all zero, at its first touch.
template <class T>
double Calibration<T>::fresh() {
  constexpr std::size_t kPiece = std::size_t{2} << 20;
  const std::uint64_t bytes = std::min(session_.spmm_memory.gather_limit / 2, kLargestSample);
  if (bytes < kPiece) return kLeastFreshSeconds;
  const Buffer memory(session_.budget, bytes, "a sample of fresh memory", true);
  const double seconds = seconds_of([&] {
    session_.workers.for_each(divide_up(bytes, kPiece), [&](std::size_t i) {
      const std::size_t end = std::min<std::uint64_t>(bytes, (i + 1) * kPiece);
      for (std::size_t at = i * kPiece; at < end; at += kBlockAlignment) memory.data()[at] = std::byte{1};
    });
  });
  return std::max(kLeastFreshSeconds, seconds / static_cast<double>(bytes));
}

// Of a byte that is copied from blocks into the gathered columns.
template <class T>
double Calibration<T>::copy() {
  constexpr std::size_t kBytes = std::size_t{1} << 20;
  const std::size_t pieces = 16;
  const Buffer memory(session_.budget, 2 * kBytes, "a sample of copying", false);
  std::byte* const from = memory.data();
  std::memset(from, 1, 2 * kBytes);
  const double seconds = best_of_two([&] {
    session_.workers.for_each(pieces, [&](std::size_t) {
      for (std::size_t at = 0; at < kBytes; at += 64) std::memcpy(from + kBytes + at, from + at, 64);
    });
  });
  return 2 * seconds / static_cast<double>(pieces * kBytes);  // and the memory behind it
}

template <class T>
const DiskRates& Calibration<T>::disk() {
  if (disk_known_) return disk_;
  disk_known_ = true;
  const fs::path path =
      existing_above(session_.options.cache_dir) / (".strata-sample-" + std::to_string(::getpid()) + ".scratch");
  try {
    const Buffer unit(session_.budget, kFileUnit, "a sample of the disk");
    std::memset(unit.data(), 0x5a, unit.size());
    const File file(path, File::Mode::create, true);
    fs::remove(path);  // gone whatever happens
    AsyncIo io;
    const std::uint64_t bytes =
        round_up(std::clamp(session_.plan.scratch_disk / 16, kSmallestSample, kLargestSample), kFileUnit);
    disk_.write = transfer(io, AsyncIo::Kind::write, file, bytes, unit.bytes());
    disk_.read = transfer(io, AsyncIo::Kind::read, file, bytes, unit.bytes());
  } catch (const Error&) {
    std::error_code ignored;
    fs::remove(path, ignored);  // the usual rates will do: the run itself will say what is wrong
  }
  return disk_;
}

template class Calibration<float>;
template class Calibration<double>;

}  // namespace strata
