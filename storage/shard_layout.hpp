// The fields of a shard file (FORMAT.md, "Shard file"), shared by its reader and its writer.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "storage/file_header.hpp"

namespace strata::shard_layout {

inline constexpr std::uint32_t kVersion = 1;
inline constexpr std::size_t kFirstRowAt = 16, kRowsAt = 24, kEdgesAt = 32, kHaloAt = 40, kFileBytesAt = 48,
                             kSectionCountAt = 56, kSectionTableAt = 64, kSectionEntryBytes = 32;
// Offsets inside an entry of the section table.
inline constexpr std::size_t kKindAt = 0, kOffsetAt = 8, kBytesAt = 16, kChecksumAt = 24;

enum class Section : std::uint32_t { offsets = 0, columns = 1, halo = 2, weights = 3 };
inline constexpr std::size_t kSections = 4;
inline constexpr std::array<const char*, kSections> kSectionNames = {"offsets", "columns", "halo", "weights"};

// Content bytes of the sections of a shard. `weighted`: whether there are weights (then 4 bytes an edge).
inline std::array<std::uint64_t, kSections> section_bytes(std::uint64_t rows, std::uint64_t edges, std::uint64_t halo,
                                                          bool weighted) {
  return {(rows + 1) * 8, edges * 4, halo * 4, weighted ? edges * 4 : 0};
}

}  // namespace strata::shard_layout
