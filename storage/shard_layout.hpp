// The fields of a shard file (FORMAT.md, "Shard file"), shared by its reader and its writer.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "kernels/base/types.hpp"
#include "storage/file_header.hpp"
#include "storage/shard.hpp"

namespace strata::shard_layout {

inline constexpr std::uint32_t kVersion = 2;  // version 1 is not read: its offsets were u64 and its columns raw
inline constexpr std::size_t kFirstRowAt = 16, kRowsAt = 24, kEdgesAt = 32, kHaloAt = 40, kFileBytesAt = 48,
                             kSectionCountAt = 56, kColumnCodingAt = 60, kSectionTableAt = 64, kSectionEntryBytes = 32,
                             kLargestChunkAt = 224;
// Offsets inside an entry of the section table.
inline constexpr std::size_t kKindAt = 0, kOffsetAt = 8, kBytesAt = 16, kChecksumAt = 24;

enum class Section : std::uint32_t { index = 0, rows = 1, columns = 2, halo = 3, weights = 4 };
inline constexpr std::size_t kSections = 5;
inline constexpr std::array<const char*, kSections> kSectionNames = {"index", "rows", "columns", "halo", "weights"};
static_assert(kSectionTableAt + kSections * kSectionEntryBytes == kLargestChunkAt);

// Rows that decode on their own; a chunk is whole segments.
static_assert(kChunkRows % kSegmentRows == 0);
constexpr std::size_t segment_count(std::uint64_t rows) { return divide_up(rows, kSegmentRows); }

// Ids of one list of the halo section; the last may have fewer. Each list follows its length in bytes, a u32.
inline constexpr std::size_t kHaloList = 65536;

// The index section: three lists of segments + 1 numbers, one after the other.
enum class Index : std::size_t { edges = 0, rows = 1, columns = 2 };
inline constexpr std::size_t kIndexLists = 3;
inline constexpr std::array<const char*, kIndexLists> kIndexNames = {"edges", "rows", "columns"};

}  // namespace strata::shard_layout
