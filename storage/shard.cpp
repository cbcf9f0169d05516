#include "storage/shard.hpp"

#include <algorithm>

#include "kernels/base/error.hpp"
#include "storage/checksum.hpp"
#include "storage/file_header.hpp"
#include "storage/shard_layout.hpp"

namespace strata {

using namespace shard_layout;

namespace {

struct TableEntry {
  std::uint64_t offset, bytes, checksum;
};

TableEntry table_entry(const FileHeader& header, std::size_t section) {
  const std::size_t at = kSectionTableAt + section * kSectionEntryBytes;
  return {header.get<std::uint64_t>(at + kOffsetAt), header.get<std::uint64_t>(at + kBytesAt),
          header.get<std::uint64_t>(at + kChecksumAt)};
}

void require_info(const FileHeader& header, const ShardInfo& info, const fs::path& path) {
  require_checksum(path, "header (as the manifest has it)", info.checksum, header.checksum());
  require_field(path, "header: first row", info.first_row, header.get<std::uint64_t>(kFirstRowAt));
  require_field(path, "header: rows", info.rows, header.get<std::uint64_t>(kRowsAt));
  require_field(path, "header: edges", info.edges, header.get<std::uint64_t>(kEdgesAt));
  require_field(path, "header: halo", info.halo, header.get<std::uint64_t>(kHaloAt));
  require_field(path, "header: file bytes", info.file_bytes, header.get<std::uint64_t>(kFileBytesAt));
  require_field(path, "header: sections", kSections, header.get<std::uint32_t>(kSectionCountAt));
}

}  // namespace

std::uint64_t Shard::memory_bytes(const ShardInfo& info) {
  return round_up(info.file_bytes, kBlockAlignment) +
         round_up((info.rows + info.halo) * sizeof(NodeId), kBlockAlignment);
}

Shard::Shard(const fs::path& store, const ShardInfo& info, MemoryBudget& budget)
    : info_(info),
      path_(store / info.file),
      mapping_charge_(budget.reserve(round_up(info.file_bytes, kBlockAlignment), "shard " + info.file)),
      file_(path_) {
  require_file_size(path_, info.file_bytes, file_.bytes().size());
  const FileHeader header = FileHeader::parse(file_.bytes(), path_, kShardMagic, kVersion);
  require_info(header, info, path_);
  weighted_ = info.edges > 0 && table_entry(header, static_cast<std::size_t>(Section::weights)).bytes > 0;
  const auto bytes = section_bytes(info.rows, info.edges, info.halo, weighted_);
  std::uint64_t at = kHeaderBytes;
  for (std::size_t i = 0; i < kSections; ++i) {
    const TableEntry entry = table_entry(header, i);
    const std::string name = std::string("header: section ") + kSectionNames[i];
    require_field(path_, name + ": offset", at, entry.offset);
    require_field(path_, name + ": bytes", bytes[i], entry.bytes);
    section_begin_[i] = at;
    at += round_up(bytes[i], kBlockAlignment);
  }
  require_field(path_, "header: end of the sections", info.file_bytes, at);
  file_.populate();
  const std::span<const EdgeId> offsets = section<EdgeId>(0, info.rows + std::uint64_t{1});
  require_field(path_, "offsets: first", 0, offsets.front());
  require_field(path_, "offsets: last", info.edges, offsets.back());
  to_global_ = Array<NodeId>(budget, info.rows + info.halo, "ids of shard " + info.file);
  fill_to_global();
}

template <class T>
std::span<const T> Shard::section(std::size_t index, std::uint64_t count) const {
  return {reinterpret_cast<const T*>(file_.bytes().data() + section_begin_[index]), count};
}

// Own rows and halo, merged.
void Shard::fill_to_global() {
  const std::span<const NodeId> others = halo();
  const auto before = std::lower_bound(others.begin(), others.end(), info_.first_row);
  NodeId* to = std::copy(others.begin(), before, to_global_.data());
  first_local_ = static_cast<std::uint32_t>(to - to_global_.data());
  for (NodeId row = 0; row < info_.rows; ++row) *to++ = info_.first_row + row;
  std::copy(before, others.end(), to);
}

std::span<const NodeId> Shard::halo() const {
  return section<NodeId>(static_cast<std::size_t>(Section::halo), info_.halo);
}

SparseRows Shard::rows(std::size_t first, std::size_t count) const {
  STRATA_ASSERT(first + count <= info_.rows);
  SparseRows rows;
  rows.rows = count;
  rows.first_row = info_.first_row + static_cast<NodeId>(first);
  rows.offsets =
      section<EdgeId>(static_cast<std::size_t>(Section::offsets), info_.rows + std::uint64_t{1}).data() + first;
  rows.columns = section<std::uint32_t>(static_cast<std::size_t>(Section::columns), info_.edges).data();
  rows.to_row = to_global_.data();
  rows.first_local = first_local_ + static_cast<std::uint32_t>(first);
  if (weighted_) rows.edge_weight = section<float>(static_cast<std::size_t>(Section::weights), info_.edges).data();
  return rows;
}

void Shard::check_sections() const {
  const FileHeader header = FileHeader::parse(file_.bytes(), path_, kShardMagic, kVersion);
  for (std::size_t i = 0; i < kSections; ++i) {
    const TableEntry entry = table_entry(header, i);
    const auto extent = file_.bytes().subspan(section_begin_[i], round_up(entry.bytes, kBlockAlignment));
    require_checksum(path_, std::string("section ") + kSectionNames[i], entry.checksum, checksum(extent));
  }
}

void Shard::verify() const {
  check_sections();
  const std::string path = path_.string();
  const std::span<const NodeId> others = halo();
  for (std::size_t i = 0; i < others.size(); ++i) {
    const bool own = others[i] >= info_.first_row && others[i] - info_.first_row < info_.rows;
    if (own || (i > 0 && others[i] <= others[i - 1])) {
      throw DamagedError(path, "section halo", "ascending ids of other shards",
                         std::to_string(others[i]) + " at place " + std::to_string(i));
    }
  }
  const SparseRows all = rows();
  for (std::size_t row = 0; row < all.rows; ++row) {
    const EdgeId begin = all.offsets[row], end = all.offsets[row + 1];
    if (begin > end || end > info_.edges) {
      throw DamagedError(path, "section offsets", "ascending offsets",
                         std::to_string(end) + " after row " + std::to_string(row));
    }
    for (EdgeId edge = begin; edge < end; ++edge) {
      const std::uint32_t column = all.columns[edge];
      if (column >= to_global_.size() || (edge > begin && column < all.columns[edge - 1])) {
        throw DamagedError(path, "section columns", "ascending columns below " + std::to_string(to_global_.size()),
                           std::to_string(column) + " in row " + std::to_string(row));
      }
    }
  }
}

}  // namespace strata
