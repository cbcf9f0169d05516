#include <algorithm>
#include <bit>
#include <vector>

#include "kernels/base/error.hpp"
#include "kernels/gap_codec.hpp"
#include "storage/checksum.hpp"
#include "storage/file_header.hpp"
#include "storage/shard.hpp"
#include "storage/shard_layout.hpp"

namespace strata {

using namespace shard_layout;

namespace {

// A set of ids and the rank of each in it: one bit and half a bit of counts per id of the range.
class RankedSet {
 public:
  RankedSet(NodeId lowest, NodeId highest, MemoryBudget& budget)
      : base_(lowest / 64),
        words_((highest / 64) - base_ + std::size_t{1}),
        bits_(budget, words_, "ids of a shard"),
        ranks_(budget, words_ + 1, "ranks of a shard") {}

  void insert(NodeId id) const { bits_[id / 64 - base_] |= std::uint64_t{1} << (id % 64); }
  void finish() const {
    for (std::size_t word = 0; word < words_; ++word) {
      ranks_[word + 1] = ranks_[word] + static_cast<std::uint32_t>(std::popcount(bits_[word]));
    }
  }
  [[nodiscard]] std::uint32_t size() const { return ranks_[words_]; }
  [[nodiscard]] std::uint32_t rank(NodeId id) const {
    const std::size_t word = id / 64 - base_;
    const std::uint64_t below = bits_[word] & ((std::uint64_t{1} << (id % 64)) - 1);
    return ranks_[word] + static_cast<std::uint32_t>(std::popcount(below));
  }
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (std::size_t word = 0; word < words_; ++word) {
      for (std::uint64_t rest = bits_[word]; rest != 0; rest &= rest - 1) {
        visit(static_cast<NodeId>((base_ + word) * 64 + static_cast<std::size_t>(std::countr_zero(rest))));
      }
    }
  }

 private:
  std::size_t base_, words_;
  Array<std::uint64_t> bits_;
  Array<std::uint32_t> ranks_;
};

// Appends a section in pieces, padded with zeros to a whole page, and enters it in the header.
class SectionWriter {
 public:
  SectionWriter(AtomicFile& file, FileHeader& header, Section section)
      : file_(file), header_(header), section_(static_cast<std::uint32_t>(section)), begin_(file.position()) {}
  void append(std::span<const std::byte> bytes) {
    file_.append(bytes);
    sum_.update(bytes);
  }
  void finish() {
    const std::uint64_t bytes = file_.position() - begin_;
    const std::array<std::byte, kBlockAlignment> zeros{};
    append(std::span(zeros).first(round_up(bytes, kBlockAlignment) - bytes));
    const std::size_t at = kSectionTableAt + section_ * kSectionEntryBytes;
    header_.put<std::uint32_t>(at + kKindAt, section_);
    header_.put<std::uint64_t>(at + kOffsetAt, begin_);
    header_.put<std::uint64_t>(at + kBytesAt, bytes);
    header_.put<std::uint64_t>(at + kChecksumAt, sum_.value());
  }

 private:
  AtomicFile& file_;
  FileHeader& header_;
  std::uint32_t section_;
  std::uint64_t begin_;
  ChecksumStream sum_;
};

template <class T>
void append_section(AtomicFile& file, FileHeader& header, Section section, std::span<const T> values) {
  SectionWriter writer(file, header, section);
  writer.append(std::as_bytes(values));
  writer.finish();
}

void check_rows(std::span<const EdgeId> offsets, std::span<const NodeId> sources, std::span<const float> weights) {
  STRATA_ASSERT(!offsets.empty() && offsets.front() == 0 && offsets.back() == sources.size());
  STRATA_ASSERT(weights.empty() || weights.size() == sources.size());
  for (std::size_t row = 0; row + 1 < offsets.size(); ++row) {
    STRATA_ASSERT(offsets[row] <= offsets[row + 1]);
    STRATA_ASSERT(std::is_sorted(sources.begin() + static_cast<std::ptrdiff_t>(offsets[row]),
                                 sources.begin() + static_cast<std::ptrdiff_t>(offsets[row + 1])));
  }
}

void check_segments(const fs::path& path, std::span<const EdgeId> offsets) {
  for (std::size_t begin = 0; begin + 1 < offsets.size(); begin += kSegmentRows) {
    const std::uint64_t edges = offsets[std::min(begin + kSegmentRows, offsets.size() - 1)] - offsets[begin];
    if (edges <= UINT32_MAX) continue;
    throw InputError(path.string(), "rows from " + std::to_string(begin),
                     std::to_string(edges) + " edges in 256 rows, fewer than 2^32 can be stored");
  }
}

RankedSet rank_ids(NodeId first_row, NodeId rows, std::span<const NodeId> sources, MemoryBudget& budget) {
  NodeId lowest = first_row, highest = rows == 0 ? first_row : first_row + rows - 1;
  for (const NodeId source : sources) {
    lowest = std::min(lowest, source);
    highest = std::max(highest, source);
  }
  RankedSet ids(lowest, highest, budget);
  for (const NodeId source : sources) ids.insert(source);
  for (NodeId row = 0; row < rows; ++row) ids.insert(first_row + row);
  ids.finish();
  return ids;
}

// A shard's rows cut into segments: their index, and their bytes one after the other.
class SegmentWriter {
 public:
  SegmentWriter(std::span<const EdgeId> offsets, std::span<const NodeId> sources, const RankedSet& ids,
                ColumnChoice choice, MemoryBudget& budget)
      : offsets_(offsets), sources_(sources), ids_(ids), segments_(segment_count(offsets.size() - 1)) {
    index_ = Array<std::uint64_t>(budget, kIndexLists * (segments_ + 1), "index of a shard");
    std::uint64_t largest = 0;
    for (std::size_t s = 0; s < segments_; ++s) largest = std::max(largest, edges(s));
    local_ = Array<std::uint32_t>(budget, largest, "columns of a shard");
    const std::size_t most = std::max<std::size_t>(largest, kSegmentRows);
    encoded_ = Buffer(budget, gap_control_bytes(most) + most * sizeof(std::uint32_t), "coded columns of a shard");
    fill_index(choice);
  }

  [[nodiscard]] ColumnCoding coding() const { return coding_; }
  [[nodiscard]] std::uint64_t column_bytes() const { return list(Index::columns)[segments_]; }
  [[nodiscard]] std::span<const std::uint64_t> index() const { return index_.span(); }
  [[nodiscard]] std::uint64_t largest_chunk() const {
    std::uint64_t largest = 0;
    const std::size_t rows = offsets_.size() - 1;
    for (std::size_t row = 0; row < rows; row += kChunkRows) {
      largest = std::max(largest, offsets_[std::min(rows, row + kChunkRows)] - offsets_[row]);
    }
    return largest;
  }

  void write_rows(SectionWriter writer) const {
    for (std::size_t s = 0; s < segments_; ++s) append_coded(writer, row_ends(s));
    writer.finish();
  }
  void write_columns(SectionWriter writer) const {
    for (std::size_t s = 0; s < segments_; ++s) {
      const std::span<const std::uint32_t> columns = local_columns(s);
      coding_ == ColumnCoding::gaps ? append_coded(writer, columns) : writer.append(std::as_bytes(columns));
    }
    writer.finish();
  }

 private:
  [[nodiscard]] std::uint64_t* list(Index which) const {
    return index_.data() + static_cast<std::size_t>(which) * (segments_ + 1);
  }
  [[nodiscard]] std::size_t begin_row(std::size_t segment) const {
    return std::min(segment * kSegmentRows, offsets_.size() - 1);
  }
  [[nodiscard]] std::uint64_t edges(std::size_t segment) const {
    return offsets_[begin_row(segment + 1)] - offsets_[begin_row(segment)];
  }
  [[nodiscard]] std::span<const std::uint32_t> row_ends(std::size_t segment) const {
    const std::size_t begin = begin_row(segment), end = begin_row(segment + 1);
    for (std::size_t row = begin; row < end; ++row) {
      ends_[row - begin] = static_cast<std::uint32_t>(offsets_[row + 1] - offsets_[begin]);
    }
    return std::span(ends_).first(end - begin);
  }
  [[nodiscard]] std::span<const std::uint32_t> local_columns(std::size_t segment) const {
    const EdgeId begin = offsets_[begin_row(segment)];
    const std::span<std::uint32_t> local = local_.span().first(edges(segment));
    for (std::size_t i = 0; i < local.size(); ++i) local[i] = ids_.rank(sources_[begin + i]);
    return local;
  }
  void append_coded(SectionWriter& writer, std::span<const std::uint32_t> values) const {
    encode_gaps(values, encoded_.data());
    writer.append(encoded_.bytes().first(gap_bytes(values)));
  }

  void fill_index(ColumnChoice choice) {
    for (std::size_t s = 0; s < segments_; ++s) {
      list(Index::edges)[s + 1] = list(Index::edges)[s] + edges(s);
      list(Index::rows)[s + 1] = list(Index::rows)[s] + gap_bytes(row_ends(s));
      list(Index::columns)[s + 1] = list(Index::columns)[s] + gap_bytes(local_columns(s));
    }
    const bool gaps = choice == ColumnChoice::gaps ||
                      (choice == ColumnChoice::smaller && column_bytes() < sources_.size() * sizeof(std::uint32_t));
    coding_ = gaps ? ColumnCoding::gaps : ColumnCoding::raw;
    for (std::size_t s = 0; s <= segments_ && !gaps; ++s) {
      list(Index::columns)[s] = list(Index::edges)[s] * sizeof(std::uint32_t);
    }
  }

  std::span<const EdgeId> offsets_;
  std::span<const NodeId> sources_;
  const RankedSet& ids_;
  std::size_t segments_;
  ColumnCoding coding_ = ColumnCoding::raw;
  Array<std::uint64_t> index_;
  Array<std::uint32_t> local_;  // of one segment, as encoded_
  Buffer encoded_;
  mutable std::array<std::uint32_t, kSegmentRows> ends_{};
};

void write_halo(AtomicFile& file, FileHeader& header, const RankedSet& ids, NodeId first_row, NodeId rows) {
  SectionWriter writer(file, header, Section::halo);
  std::vector<NodeId> piece;
  piece.reserve(kHaloList);
  std::vector<std::byte> coded;
  const auto flush = [&] {
    const auto bytes = static_cast<std::uint32_t>(gap_bytes(piece));
    coded.resize(bytes);
    encode_gaps(piece, coded.data());
    writer.append(std::as_bytes(std::span(&bytes, 1)));
    writer.append(coded);
    piece.clear();
  };
  ids.for_each([&](NodeId id) {
    if (id >= first_row && id - first_row < rows) return;
    piece.push_back(id);
    if (piece.size() == kHaloList) flush();
  });
  if (!piece.empty()) flush();
  writer.finish();
}

void put_info(FileHeader& header, const ShardInfo& info) {
  header.put<std::uint64_t>(kFirstRowAt, info.first_row);
  header.put<std::uint64_t>(kRowsAt, info.rows);
  header.put<std::uint64_t>(kEdgesAt, info.edges);
  header.put<std::uint64_t>(kHaloAt, info.halo);
  header.put<std::uint64_t>(kFileBytesAt, info.file_bytes);
  header.put<std::uint32_t>(kSectionCountAt, kSections);
  header.put<std::uint32_t>(kColumnCodingAt, static_cast<std::uint32_t>(info.coding));
  header.put<std::uint64_t>(kLargestChunkAt, info.largest_chunk);
}

}  // namespace

ShardInfo write_shard(const fs::path& store, const std::string& file_name, NodeId first_row,
                      std::span<const EdgeId> offsets, std::span<const NodeId> sources, std::span<const float> weights,
                      MemoryBudget* budget, ColumnChoice choice) {
  check_rows(offsets, sources, weights);
  const fs::path path = store / file_name;
  check_segments(path, offsets);
  MemoryBudget unlimited(UINT64_MAX);
  MemoryBudget& used = budget != nullptr ? *budget : unlimited;
  const auto rows = static_cast<NodeId>(offsets.size() - 1);
  const RankedSet ids = rank_ids(first_row, rows, sources, used);
  const SegmentWriter segments(offsets, sources, ids, choice, used);

  fs::create_directories(path.parent_path());
  AtomicFile file(path);
  FileHeader header(kShardMagic, kVersion);
  file.append(header.bytes());
  append_section(file, header, Section::index, segments.index());
  segments.write_rows({file, header, Section::rows});
  segments.write_columns({file, header, Section::columns});
  write_halo(file, header, ids, first_row, rows);
  append_section(file, header, Section::weights, weights);

  ShardInfo info{file_name,
                 first_row,
                 rows,
                 sources.size(),
                 ids.size() - rows,
                 file.position(),
                 0,
                 segments.largest_chunk(),
                 segments.column_bytes(),
                 segments.coding()};
  put_info(header, info);
  info.checksum = header.seal();
  file.patch(0, header.bytes());
  file.commit();
  return info;
}

}  // namespace strata
