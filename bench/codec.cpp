// Row codecs over tiles of kChunkRows x kPanelColumns, the block of a row store.
// Bytes: the fp32 values on one side and the encoded rows on the other, so the ceiling is a copy.
#include <algorithm>
#include <vector>

#include "bench/kernels.hpp"
#include "kernels/base/rng.hpp"
#include "kernels/bitmap_codec.hpp"
#include "kernels/row_codec.hpp"

namespace strata::bench {

namespace {

constexpr std::size_t kTileValues = kChunkRows * kPanelColumns;

void run_codec(const KernelBench& bench, Codec codec, const Buffer& values, std::size_t tiles) {
  const std::size_t stride = panel_row_bytes(codec, kPanelColumns);
  const std::size_t tile_bytes = kChunkRows * stride;
  Buffer encoded(bench.budget, tiles * tile_bytes, "encoded tiles", true);
  Buffer decoded(bench.budget, values.size(), "decoded tiles", true);
  const auto tile_of = [](const Buffer& buffer, std::size_t tile) {
    return MatrixView<float>(buffer.as<float>().data() + tile * kTileValues, kChunkRows, kPanelColumns);
  };
  const auto encode = [&] {
    bench.workers.for_each(tiles, [&](std::size_t t) {
      cpu::encode_panel<float>(codec, tile_of(values, t), encoded.data() + t * tile_bytes, stride);
    });
  };
  const auto decode = [&] {
    bench.workers.for_each(tiles, [&](std::size_t t) {
      cpu::decode_panel<float>(codec, encoded.data() + t * tile_bytes, stride, tile_of(decoded, t));
    });
  };
  const auto count = static_cast<double>(tiles * kTileValues);
  const double bytes = 4 * count + static_cast<double>(encoded.size());
  const std::string counted = "fp32 values and encoded rows";
  const auto name = std::string(codec_name(codec));
  add_against_stream(bench, {"codec", "encode " + name, {}, bytes, count, "value", counted, ""}, Against::copy, encode);
  std::vector<std::byte> expected(tile_bytes);
  ref::encode_panel<float>(codec, tile_of(values, 0), expected.data(), stride);
  require_equal(std::equal(expected.begin(), expected.end(), encoded.data()), "encode to " + name);
  add_against_stream(bench, {"codec", "decode " + name, {}, bytes, count, "value", counted, ""}, Against::copy, decode);
}

// fp16 tiles as behind a ReLU, packed as they go to disk.
void run_bitmap(const KernelBench& bench, const Buffer& values, std::size_t tiles) {
  constexpr std::size_t kRowBytes = kPanelColumns * sizeof(std::uint16_t), kTileBytes = kChunkRows * kRowBytes;
  Buffer plain(bench.budget, tiles * kTileBytes, "fp16 tiles", true);
  Buffer packed(bench.budget, tiles * kTileBytes, "packed tiles", true);
  Buffer unpacked(bench.budget, tiles * kTileBytes, "unpacked tiles", true);
  std::vector<std::size_t> bytes(tiles);
  const auto words = [](const Buffer& buffer, std::size_t t) {
    return buffer.as<std::uint16_t>().subspan(t * kTileValues, kTileValues);
  };
  const auto room = [&](std::size_t t) { return packed.bytes().subspan(t * kTileBytes, kTileBytes); };
  bench.workers.for_each(tiles, [&](std::size_t t) {
    std::vector<float> tile(kTileValues);
    for (std::size_t i = 0; i < kTileValues; ++i) tile[i] = std::max(0.0f, values.as<float>()[t * kTileValues + i]);
    cpu::encode_panel<float>(Codec::fp16, {tile.data(), kChunkRows, kPanelColumns}, plain.data() + t * kTileBytes,
                             kRowBytes);
  });
  const auto pack = [&] {
    bench.workers.for_each(
        tiles, [&](std::size_t t) { bytes[t] = cpu::pack_bitmap(words(plain, t), kPanelColumns, room(t)); });
  };
  const auto unpack = [&] {
    bench.workers.for_each(tiles, [&](std::size_t t) {
      const bool good = cpu::unpack_bitmap(room(t).first(bytes[t]), kPanelColumns, words(unpacked, t));
      require_equal(good, "a packed tile");
    });
  };
  pack();
  const auto count = static_cast<double>(tiles * kTileValues);
  double moved = 2 * count;
  for (const std::size_t b : bytes) moved += static_cast<double>(b);
  const std::string counted = "fp16 values and packed tiles";
  add_against_stream(bench, {"codec", "pack bitmap", {}, moved, count, "value", counted, ""}, Against::copy, pack);
  add_against_stream(bench, {"codec", "unpack bitmap", {}, moved, count, "value", counted, ""}, Against::copy, unpack);
  require_equal(std::equal(plain.data(), plain.data() + plain.size(), unpacked.data()), "pack and unpack bitmap");
}

}  // namespace

void bench_codec(const KernelBench& bench) {
  const std::size_t tiles = std::max<std::size_t>(1, bench.options.stream_bytes / (kTileValues * sizeof(float)));
  Buffer values(bench.budget, tiles * kTileValues * sizeof(float), "values to encode", true);
  bench.workers.for_each(tiles, [&](std::size_t tile) {
    CounterRng rng(bench.options.seed, Stream::synthetic, static_cast<std::uint32_t>(tile), 2);
    float* const to = values.as<float>().data() + tile * kTileValues;
    for (std::size_t i = 0; i < kTileValues; ++i) to[i] = static_cast<float>(2 * rng.uniform() - 1);
  });
  for (const Codec codec : {Codec::fp16, Codec::bf16, Codec::int8}) run_codec(bench, codec, values, tiles);
  run_bitmap(bench, values, tiles);
}

}  // namespace strata::bench
