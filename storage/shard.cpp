#include "storage/shard.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/base/error.hpp"
#include "kernels/gap_codec.hpp"
#include "storage/checksum.hpp"
#include "storage/file_header.hpp"
#include "storage/shard_layout.hpp"

namespace strata {

using namespace shard_layout;

namespace {

constexpr std::size_t place(Section section) { return static_cast<std::size_t>(section); }
constexpr std::size_t place(Index list) { return static_cast<std::size_t>(list); }

struct TableEntry {
  std::uint64_t offset, bytes, checksum;
};

TableEntry table_entry(const FileHeader& header, std::size_t section) {
  const std::size_t at = kSectionTableAt + section * kSectionEntryBytes;
  return {header.get<std::uint64_t>(at + kOffsetAt), header.get<std::uint64_t>(at + kBytesAt),
          header.get<std::uint64_t>(at + kChecksumAt)};
}

FileHeader parse_header(std::span<const std::byte> file, const fs::path& path) {
  return FileHeader::parse(file, path, kShardMagic, kVersion, kVersion);
}

void require_info(const FileHeader& header, const ShardInfo& info, const fs::path& path) {
  require_checksum(path, "header (as the manifest has it)", info.checksum, header.checksum());
  require_field(path, "header: first row", info.first_row, header.get<std::uint64_t>(kFirstRowAt));
  require_field(path, "header: rows", info.rows, header.get<std::uint64_t>(kRowsAt));
  require_field(path, "header: edges", info.edges, header.get<std::uint64_t>(kEdgesAt));
  require_field(path, "header: halo", info.halo, header.get<std::uint64_t>(kHaloAt));
  require_field(path, "header: file bytes", info.file_bytes, header.get<std::uint64_t>(kFileBytesAt));
  require_field(path, "header: sections", kSections, header.get<std::uint32_t>(kSectionCountAt));
  require_field(path, "header: form of the columns", static_cast<std::uint64_t>(info.coding),
                header.get<std::uint32_t>(kColumnCodingAt));
  require_field(path, "header: largest chunk", info.largest_chunk, header.get<std::uint64_t>(kLargestChunkAt));
}

}  // namespace

const char* column_coding_name(ColumnCoding coding) { return coding == ColumnCoding::gaps ? "gaps" : "raw"; }

EdgeSpace::EdgeSpace(MemoryBudget& budget, std::uint64_t largest_chunk) : budget_(&budget) {
  static_cast<void>(offsets(kChunkRows + 1));
  static_cast<void>(columns(largest_chunk));
}

std::uint64_t EdgeSpace::bytes_for(std::uint64_t largest_chunk) {
  return round_up((kChunkRows + 1) * sizeof(EdgeId), kBlockAlignment) +
         round_up(largest_chunk * sizeof(std::uint32_t), kBlockAlignment);
}

EdgeId* EdgeSpace::offsets(std::size_t count) {
  if (offsets_.size() < count) {
    offsets_ = {};  // first: the old one and the new one are never both charged
    offsets_ = Array<EdgeId>(*budget_, std::max(count, kChunkRows + 1), "row offsets being read");
  }
  return offsets_.data();
}

std::uint32_t* EdgeSpace::columns(std::size_t count) {
  if (columns_.size() < count) {
    columns_ = {};
    columns_ = Array<std::uint32_t>(*budget_, count, "columns being read");
  }
  return columns_.data();
}

std::uint64_t Shard::memory_bytes(const ShardInfo& info) {
  return round_up(info.file_bytes, kBlockAlignment) +
         round_up((info.rows + info.halo) * sizeof(NodeId), kBlockAlignment);
}

Shard::Shard(const fs::path& store, const ShardInfo& info, MemoryBudget& budget, SpareMemory* spares)
    : info_(info),
      path_(store / info.file),
      mapping_charge_(budget.reserve(round_up(info.file_bytes, kBlockAlignment), "shard " + info.file)),
      file_(path_) {
  require_file_size(path_, info.file_bytes, file_.bytes().size());
  const FileHeader header = parse_header(file_.bytes(), path_);
  require_info(header, info, path_);
  locate_sections(header);
  file_.populate();
  check_index();
  to_global_ = SpareArray<NodeId>(budget, info.rows + info.halo, "ids of shard " + info.file, spares);
  fill_to_global();
}

// The sections follow each other, whole pages each; all lengths but that of the coded rows follow from the info.
void Shard::locate_sections(const FileHeader& header) {
  std::uint64_t at = kHeaderBytes;
  for (std::size_t i = 0; i < kSections; ++i) {
    const TableEntry entry = table_entry(header, i);
    require_field(path_, std::string("header: section ") + kSectionNames[i] + ": offset", at, entry.offset);
    section_begin_[i] = at;
    section_bytes_[i] = entry.bytes;
    at = entry.bytes <= info_.file_bytes - at ? at + round_up(entry.bytes, kBlockAlignment) : UINT64_MAX;
    if (at > info_.file_bytes) break;
  }
  require_field(path_, "header: end of the sections", info_.file_bytes, at);
  const auto require_bytes = [&](Section section, std::uint64_t expected) {
    require_field(path_, std::string("header: section ") + kSectionNames[place(section)] + ": bytes", expected,
                  section_bytes_[place(section)]);
  };
  require_bytes(Section::index, kIndexLists * (segment_count(info_.rows) + 1) * sizeof(std::uint64_t));
  require_bytes(Section::columns, info_.column_bytes);
  if (info_.coding == ColumnCoding::raw) require_bytes(Section::columns, info_.edges * sizeof(std::uint32_t));
  if (section_bytes_[place(Section::weights)] != 0) require_bytes(Section::weights, info_.edges * sizeof(float));
}

// Afterwards every segment's bytes and edges are inside their sections.
void Shard::check_index() const {
  const std::array<std::uint64_t, kIndexLists> ends = {info_.edges, section_bytes_[place(Section::rows)],
                                                       section_bytes_[place(Section::columns)]};
  const std::size_t segments = segment_count(info_.rows);
  for (std::size_t list = 0; list < kIndexLists; ++list) {
    const std::string name = std::string("section index: ") + kIndexNames[list];
    const std::uint64_t* const begin = index(list);
    require_field(path_, name + ": first", 0, begin[0]);
    require_field(path_, name + ": last", ends[list], begin[segments]);
    if (!std::is_sorted(begin, begin + segments + 1)) {
      throw DamagedError(path_.string(), name, "ascending numbers", "one that falls");
    }
  }
}

template <class T>
const T* Shard::section(std::size_t which) const {
  return reinterpret_cast<const T*>(file_.bytes().data() + section_begin_[which]);
}

const std::uint64_t* Shard::index(std::size_t list) const {
  return section<std::uint64_t>(place(Section::index)) + list * (segment_count(info_.rows) + 1);
}

// Own rows and halo, merged: the halo is decoded to the end, then what comes before the own rows moves to the front.
void Shard::fill_to_global() {
  const std::span<NodeId> others = to_global_.span().subspan(info_.rows);
  decode_halo(others);
  const auto own = std::lower_bound(others.begin(), others.end(), info_.first_row);
  NodeId* to = std::copy(others.begin(), own, to_global_.data());
  halo_below_ = static_cast<std::size_t>(to - to_global_.data());
  for (NodeId row = 0; row < info_.rows; ++row) *to++ = info_.first_row + row;
}

void Shard::decode_halo(std::span<NodeId> ids) const {
  std::span<const std::byte> rest(section<std::byte>(place(Section::halo)), section_bytes_[place(Section::halo)]);
  bool good = true;
  while (good && !ids.empty()) {
    const std::span<NodeId> list = ids.first(std::min(kHaloList, ids.size()));
    std::uint32_t bytes = 0;
    good = rest.size() >= sizeof bytes;
    if (good) std::memcpy(&bytes, rest.data(), sizeof bytes);
    good = good && rest.size() - sizeof bytes >= bytes && cpu::decode_gaps(rest.subspan(sizeof bytes, bytes), list);
    if (good) rest = rest.subspan(sizeof bytes + bytes);
    ids = ids.subspan(list.size());
  }
  if (!good || !rest.empty()) {
    throw DamagedError(path_.string(), "section halo", std::to_string(info_.halo) + " coded ids", "something else");
  }
}

std::array<std::span<const NodeId>, 2> Shard::halo() const {
  const std::span<const NodeId> all = to_global_.span();
  return {all.first(halo_below_), all.subspan(halo_below_ + info_.rows)};
}

SparseRows Shard::rows(std::size_t first, std::size_t count, EdgeSpace& space) const {
  STRATA_ASSERT(first % kSegmentRows == 0 && first <= info_.rows && count <= info_.rows - first);
  const std::size_t segment = first / kSegmentRows, segments = segment_count(count);
  const std::uint64_t* const edges = index(place(Index::edges));
  EdgeId* const offsets = space.offsets(segments * kSegmentRows + 1);
  offsets[0] = 0;
  for (std::size_t s = 0; s < segments; ++s) {
    decode_row_ends(segment + s, edges[segment + s] - edges[segment], offsets + s * kSegmentRows + 1);
  }
  SparseRows rows;
  rows.rows = count;
  rows.first_row = info_.first_row + static_cast<NodeId>(first);
  rows.offsets = offsets;
  rows.to_row = to_global_.data();
  rows.first_local = first_local() + static_cast<std::uint32_t>(first);
  if (info_.coding == ColumnCoding::gaps) {
    std::uint32_t* const columns = space.columns(edges[segment + segments] - edges[segment]);
    decode_columns(segment, segments, columns);
    rows.columns = columns;
  } else {
    rows.columns = section<std::uint32_t>(place(Section::columns)) + edges[segment];
  }
  if (section_bytes_[place(Section::weights)] != 0) {
    rows.edge_weight = section<float>(place(Section::weights)) + edges[segment];
  }
  return rows;
}

// The ends of the segment's rows, counted from the segment's first edge, become offsets from `base`.
void Shard::decode_row_ends(std::size_t segment, EdgeId base, EdgeId* ends) const {
  const std::uint64_t* const begin = index(place(Index::rows)) + segment;
  const std::uint64_t* const edges = index(place(Index::edges)) + segment;
  std::array<std::uint32_t, kSegmentRows> decoded;
  const std::size_t count = std::min<std::size_t>(kSegmentRows, info_.rows - segment * kSegmentRows);
  bool good = cpu::decode_gaps({section<std::byte>(place(Section::rows)) + begin[0], begin[1] - begin[0]},
                               std::span(decoded).first(count));
  good = good && std::is_sorted(decoded.begin(), decoded.begin() + static_cast<std::ptrdiff_t>(count)) &&
         decoded[count - 1] == edges[1] - edges[0];
  if (!good) {
    throw DamagedError(path_.string(), "section rows: segment " + std::to_string(segment),
                       "the ends of rows with " + std::to_string(edges[1] - edges[0]) + " edges", "something else");
  }
  for (std::size_t i = 0; i < count; ++i) ends[i] = base + decoded[i];
}

void Shard::decode_columns(std::size_t first_segment, std::size_t segments, std::uint32_t* columns) const {
  const std::uint64_t* const begin = index(place(Index::columns));
  const std::uint64_t* const edges = index(place(Index::edges));
  for (std::size_t s = first_segment; s < first_segment + segments; ++s) {
    const std::span<std::uint32_t> to(columns + (edges[s] - edges[first_segment]), edges[s + 1] - edges[s]);
    if (cpu::decode_gaps({section<std::byte>(place(Section::columns)) + begin[s], begin[s + 1] - begin[s]}, to)) {
      continue;
    }
    throw DamagedError(path_.string(), "section columns: segment " + std::to_string(s),
                       std::to_string(to.size()) + " coded columns", "something else");
  }
}

void Shard::check_sections() const {
  const FileHeader header = parse_header(file_.bytes(), path_);
  for (std::size_t i = 0; i < kSections; ++i) {
    const TableEntry entry = table_entry(header, i);
    const auto extent = file_.bytes().subspan(section_begin_[i], round_up(entry.bytes, kBlockAlignment));
    require_checksum(path_, std::string("section ") + kSectionNames[i], entry.checksum, checksum(extent));
  }
}

void Shard::verify() const {
  check_sections();
  const std::string path = path_.string();
  for (std::size_t i = 1; i < to_global_.size(); ++i) {  // with the own rows among them
    if (to_global_[i] <= to_global_[i - 1]) {
      throw DamagedError(path, "section halo", "ascending ids of other shards",
                         std::to_string(to_global_[i]) + " after " + std::to_string(to_global_[i - 1]));
    }
  }
  MemoryBudget own(UINT64_MAX);  // one chunk at a time
  EdgeSpace space(own);
  std::uint64_t largest = 0;
  for_each_chunk(*this, space, [&](const SparseRows& chunk) {
    largest = std::max(largest, chunk.offsets[chunk.rows]);
    for (std::size_t row = 0; row < chunk.rows; ++row) {
      for (EdgeId edge = chunk.offsets[row]; edge < chunk.offsets[row + 1]; ++edge) {
        const std::uint32_t column = chunk.columns[edge];
        if (column >= to_global_.size() || (edge > chunk.offsets[row] && column < chunk.columns[edge - 1])) {
          throw DamagedError(path, "section columns", "ascending columns below " + std::to_string(to_global_.size()),
                             std::to_string(column) + " in row " + std::to_string(chunk.first_row + row));
        }
      }
    }
  });
  require_field(path_, "header: largest chunk", info_.largest_chunk, largest);
}

}  // namespace strata
