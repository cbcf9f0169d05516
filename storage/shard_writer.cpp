#include <algorithm>
#include <bit>
#include <vector>

#include "kernels/base/error.hpp"
#include "storage/checksum.hpp"
#include "storage/file_header.hpp"
#include "storage/shard.hpp"
#include "storage/shard_layout.hpp"

namespace strata {

using namespace shard_layout;

namespace {

constexpr std::size_t kPiece = std::size_t{1} << 16;  // values converted at a time

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

void write_columns(AtomicFile& file, FileHeader& header, const RankedSet& ids, std::span<const NodeId> sources) {
  SectionWriter writer(file, header, Section::columns);
  std::vector<std::uint32_t> local(std::min(kPiece, sources.size()));
  for (std::size_t at = 0; at < sources.size(); at += local.size()) {
    const std::size_t count = std::min(local.size(), sources.size() - at);
    for (std::size_t i = 0; i < count; ++i) local[i] = ids.rank(sources[at + i]);
    writer.append(std::as_bytes(std::span(local).first(count)));
  }
  writer.finish();
}

void write_halo(AtomicFile& file, FileHeader& header, const RankedSet& ids, NodeId first_row, NodeId rows) {
  SectionWriter writer(file, header, Section::halo);
  std::vector<NodeId> piece;
  piece.reserve(kPiece);
  const auto flush = [&] {
    writer.append(std::as_bytes(std::span(piece)));
    piece.clear();
  };
  ids.for_each([&](NodeId id) {
    if (id >= first_row && id - first_row < rows) return;
    piece.push_back(id);
    if (piece.size() == kPiece) flush();
  });
  flush();
  writer.finish();
}

}  // namespace

ShardInfo write_shard(const fs::path& store, const std::string& file_name, NodeId first_row,
                      std::span<const EdgeId> offsets, std::span<const NodeId> sources, std::span<const float> weights,
                      MemoryBudget* budget) {
  check_rows(offsets, sources, weights);
  MemoryBudget unlimited(UINT64_MAX);
  const auto rows = static_cast<NodeId>(offsets.size() - 1);
  const RankedSet ids = rank_ids(first_row, rows, sources, budget != nullptr ? *budget : unlimited);

  const fs::path path = store / file_name;
  fs::create_directories(path.parent_path());
  AtomicFile file(path);
  FileHeader header(kShardMagic, kVersion);
  file.append(header.bytes());
  append_section(file, header, Section::offsets, offsets);
  write_columns(file, header, ids, sources);
  write_halo(file, header, ids, first_row, rows);
  append_section(file, header, Section::weights, weights);

  ShardInfo info{file_name, first_row, rows, sources.size(), ids.size() - rows, file.position(), 0};
  header.put<std::uint64_t>(kFirstRowAt, info.first_row);
  header.put<std::uint64_t>(kRowsAt, info.rows);
  header.put<std::uint64_t>(kEdgesAt, info.edges);
  header.put<std::uint64_t>(kHaloAt, info.halo);
  header.put<std::uint64_t>(kFileBytesAt, info.file_bytes);
  header.put<std::uint32_t>(kSectionCountAt, kSections);
  info.checksum = header.seal();
  file.patch(0, header.bytes());
  file.commit();
  return info;
}

}  // namespace strata
