#include "storage/import/snap_labels.hpp"

#include <algorithm>
#include <charconv>
#include <set>
#include <string>
#include <vector>

#include "kernels/base/error.hpp"
#include "storage/import/csv_records.hpp"
#include "storage/import/edge_list.hpp"
#include "storage/import/labels.hpp"

namespace strata {
namespace {

constexpr std::size_t kLongestLabel = 256;
constexpr std::size_t kMostClasses = std::size_t{1} << 16;
constexpr std::size_t kLongestCommunity = std::size_t{1} << 27;  // bytes of a line

using Fail = std::function<void(const std::string& what)>;
using Visit = std::function<void(std::uint64_t id, std::string_view label, const Fail& fail)>;

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool is_comment(std::string_view line) { return line.empty() || line.front() == '#' || line.front() == '%'; }

void visit_lines(const InputFile& file, const Visit& visit) {
  LineReader lines(file.open_text(), std::size_t{1} << 16);
  const Fail fail = [&lines](const std::string& what) { lines.fail(what); };
  while (lines.next()) {
    std::string_view text = trimmed(lines.line());
    if (is_comment(text)) continue;
    const std::optional<std::uint64_t> id = take_id(text, lines);
    if (!id || text.empty()) lines.fail("expected a node id and its label");
    visit(*id, trimmed(text), fail);
  }
}

// The Twitch sets of MUSAE are keyed by new_id, with the label in `mature`; the others end with the label.
void visit_table(const InputFile& file, const Visit& visit) {
  CsvRecords records(file);
  const Fail fail = [&records](const std::string& what) { records.fail(what); };
  int key = records.column("new_id");
  const int mature = key >= 0 ? records.column("mature") : -1;
  if (key < 0) key = std::max(records.column("id"), 0);
  const int label = mature >= 0 ? mature : static_cast<int>(records.header().size()) - 1;
  if (label == key) records.fail("the header names no column of labels");
  while (records.next()) {
    const std::string_view text = trimmed(records.fields()[static_cast<std::size_t>(key)]);
    std::uint64_t id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (error != std::errc() || end != text.data() + text.size()) {
      records.fail("column " + std::to_string(key + 1) + ": '" + std::string(text.substr(0, 40)) +
                   "' is not a node id");
    }
    visit(id, trimmed(records.fields()[static_cast<std::size_t>(label)]), fail);
  }
}

void visit_labels(const InputFile& file, LabelKind kind, const Visit& visit) {
  const Visit checked = [&visit](std::uint64_t id, std::string_view label, const Fail& fail) {
    if (label.size() > kLongestLabel) fail("a label longer than " + std::to_string(kLongestLabel) + " bytes");
    visit(id, label, fail);
  };
  kind == LabelKind::table ? visit_table(file, checked) : visit_lines(file, checked);
}

bool is_unlabelled(std::string_view label) {
  return label.empty() || label == "-1" || label == "nan" || label == "NaN";
}

std::optional<std::int64_t> as_integer(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<std::string> class_names(const InputFile& file, LabelKind kind) {
  std::set<std::string, std::less<>> names;
  visit_labels(file, kind, [&](std::uint64_t, std::string_view label, const Fail& fail) {
    if (is_unlabelled(label) || names.contains(label)) return;
    if (names.size() == kMostClasses) {
      fail("more than " + std::to_string(kMostClasses) + " different labels: these are no classes");
    }
    names.emplace(label);
  });
  std::vector<std::string> sorted(names.begin(), names.end());
  const bool numbers =
      std::all_of(sorted.begin(), sorted.end(), [](const auto& s) { return as_integer(s).has_value(); });
  if (numbers) {
    std::sort(sorted.begin(), sorted.end(),
              [](const auto& a, const auto& b) { return as_integer(a).value() < as_integer(b).value(); });
  }
  return sorted;
}

// Empty when they are 0..C-1 anyway.
std::vector<std::string> worth_keeping(const std::vector<std::string>& names) {
  for (std::size_t c = 0; c < names.size(); ++c) {
    if (names[c] != std::to_string(c)) return names;
  }
  return {};
}

NodeId node_of(const IdTable& ids, std::uint64_t id, const Fail& fail) {
  const std::optional<NodeId> node = ids.find(id);
  if (!node) fail("node id " + std::to_string(id) + " is not in the edge list");
  return *node;
}

ImportedLabels empty_memberships(std::uint64_t nodes, std::uint64_t classes, MemoryBudget& budget) {
  ImportedLabels labels;
  labels.task = Task::multilabel;
  labels.classes = classes;
  labels.target_stride = divide_up(classes, 8);
  labels.targets = Array<std::uint8_t>(budget, nodes * labels.target_stride, "labels");
  labels.labelled = Array<std::uint8_t>(budget, nodes, "labelled nodes");
  return labels;
}

void add_member(ImportedLabels& labels, NodeId node, std::uint64_t label, const Fail& fail) {
  std::uint8_t& byte = labels.targets[node * labels.target_stride + label / 8];
  const auto bit = static_cast<std::uint8_t>(1u << (label % 8));
  if ((byte & bit) != 0) fail("a node occurs twice in one group");
  byte = static_cast<std::uint8_t>(byte | bit);
  if (labels.labelled[node] == 0) ++labels.labelled_nodes;
  labels.labelled[node] = 1;
}

ImportedLabels read_communities(const InputFile& file, const IdTable& ids, MemoryBudget& budget) {
  std::uint64_t communities = 0;
  LineReader counted(file.open_text(), kLongestCommunity);
  while (counted.next()) communities += is_comment(trimmed(counted.line())) ? 0 : 1;
  if (communities == 0) throw InputError(file.place(), "", "holds no communities");
  ImportedLabels labels = empty_memberships(ids.size(), communities, budget);
  LineReader lines(file.open_text(), kLongestCommunity);
  const Fail fail = [&lines](const std::string& what) { lines.fail(what); };
  std::uint64_t community = 0;
  while (lines.next()) {
    std::string_view text = trimmed(lines.line());
    if (is_comment(text)) continue;
    while (!text.empty()) {
      const std::optional<std::uint64_t> id = take_id(text, lines);
      if (!id) lines.fail("'" + std::string(text.substr(0, 40)) + "' is not a node id");
      add_member(labels, node_of(ids, *id, fail), community, fail);
    }
    ++community;
  }
  return labels;
}

}  // namespace

void visit_label_ids(const InputFile& file, LabelKind kind, const std::function<void(std::uint64_t id)>& visit) {
  if (kind == LabelKind::none || kind == LabelKind::communities) return;
  visit_labels(file, kind, [&visit](std::uint64_t id, std::string_view, const Fail&) { visit(id); });
}

ImportedLabels read_snap_labels(const InputFile& file, LabelKind kind, const IdTable& ids, MemoryBudget& budget) {
  if (kind == LabelKind::none) return {};
  if (kind == LabelKind::communities) return read_communities(file, ids, budget);
  const std::vector<std::string> names = class_names(file, kind);
  if (names.empty()) throw InputError(file.place(), "", "holds no labels");
  const auto class_of = [&names](std::string_view label) {
    return static_cast<std::size_t>(std::find(names.begin(), names.end(), label) - names.begin());
  };
  ImportedLabels labels;
  if (kind == LabelKind::memberships) {
    labels = empty_memberships(ids.size(), names.size(), budget);
    visit_labels(file, kind, [&](std::uint64_t id, std::string_view label, const Fail& fail) {
      if (!is_unlabelled(label)) add_member(labels, node_of(ids, id, fail), class_of(label), fail);
    });
  } else {
    LabelBuilder builder(budget, ids.size(), 1, names.size(),
                         [&file](std::uint64_t, const std::string& what) { throw InputError(file.place(), "", what); });
    const Array<std::uint8_t> seen(budget, ids.size(), "labelled nodes");
    visit_labels(file, kind, [&](std::uint64_t id, std::string_view label, const Fail& fail) {
      const NodeId node = node_of(ids, id, fail);
      if (seen[node]++ != 0) fail("node " + std::to_string(id) + " has a label already");
      if (!is_unlabelled(label)) builder.set_class(node, static_cast<double>(class_of(label)));
    });
    labels = builder.take();
  }
  labels.class_names = worth_keeping(names);
  return labels;
}

}  // namespace strata
