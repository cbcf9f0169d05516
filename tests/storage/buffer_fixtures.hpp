// Row stores for the buffer manager's tests: shapes with odd edges, tiles filled from a number, and a slow twin that
// keeps every tile in a map.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "kernels/base/rng.hpp"
#include "storage/buffer_manager.hpp"

namespace strata::test {

// Three chunks of 1024, 1024 and 5 rows; three panels of 32, 32 and 7 columns.
inline const RowShape kOddShape{2 * kChunkRows + 5, 71, Codec::fp32};
// One panel, int8: slots of another size.
inline const RowShape kNarrowShape{3 * kChunkRows, 20, Codec::int8};

// Of three versions one is dense, one has zeros in half of its 16-bit values, one in fifteen of sixteen.
inline std::uint16_t kept_bits(std::uint32_t version) {
  constexpr std::uint16_t kBits[] = {15, 1, 0};
  return kBits[version % 3];
}

// Every byte depends on the version, the place in the tile and the tile.
inline void fill_tile(std::span<std::byte> bytes, std::uint32_t version, std::size_t chunk, std::size_t panel) {
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(Philox)) {
    const Philox value = philox(version, static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(chunk),
                                static_cast<std::uint32_t>(panel), 7);
    std::array<std::uint16_t, sizeof(Philox) / 2> values{};
    std::memcpy(values.data(), &value, sizeof value);
    for (std::uint16_t& v : values) v = (v & kept_bits(version)) != 0 ? std::uint16_t{0} : v;
    std::memcpy(bytes.data() + at, values.data(), std::min(sizeof values, bytes.size() - at));
  }
}

inline std::vector<std::byte> tile_content(const RowShape& shape, std::uint32_t version, std::size_t chunk,
                                           std::size_t panel) {
  std::vector<std::byte> bytes(shape.tile_bytes(chunk, panel));
  if (version != 0) fill_tile(bytes, version, chunk, panel);  // version 0: never written
  return bytes;
}

// Bytes that such a tile takes on disk.
inline std::uint64_t bytes_on_disk(const RowShape& shape, const DiskForm& form, std::uint32_t version,
                                   std::size_t chunk, std::size_t panel) {
  const std::uint64_t slot = shape.tile_slot(chunk, panel);
  if (!form.bitmap) return slot;
  const std::vector<std::byte> content = tile_content(shape, version, chunk, panel);
  std::size_t kept = 0;
  for (std::size_t at = 0; at < content.size(); at += 2) {
    kept += content[at] != std::byte{0} || content[at + 1] != std::byte{0} ? 1 : 0;
  }
  return std::min(slot, round_up(4 * shape.chunk_rows(chunk) + 2 * kept, kBlockAlignment));
}

inline bool equal(std::span<const std::byte> a, std::span<const std::byte> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

inline bool tile_is(const Pin& pin, const RowShape& shape, std::uint32_t version, std::size_t chunk,
                    std::size_t panel) {
  return equal(pin.bytes(), tile_content(shape, version, chunk, panel));
}

// What a store should hold: the version of each tile.
struct Twin {
  explicit Twin(const RowShape& shape_in) : shape(shape_in) {}
  RowShape shape;
  std::map<std::pair<std::size_t, std::size_t>, std::uint32_t> versions;
  [[nodiscard]] std::uint32_t version(std::size_t chunk, std::size_t panel) const {
    const auto found = versions.find({chunk, panel});
    return found == versions.end() ? 0 : found->second;
  }
};

// Bytes of budget that the tables of a store take.
inline std::uint64_t table_bytes(const RowShape& shape) {
  const std::uint64_t tiles = shape.chunks() * shape.panels();
  return round_up(56 * tiles, kBlockAlignment) + 8 * tiles;
}

}  // namespace strata::test
