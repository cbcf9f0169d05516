#include "storage/import/class_map.hpp"

#include <charconv>
#include <vector>

#include "kernels/base/error.hpp"
#include "storage/import/labels.hpp"

namespace strata {
namespace {

constexpr std::size_t kMostTargets = std::size_t{1} << 16;

float take_target(JsonReader& json) {
  if (json.peek() == JsonReader::Kind::boolean) return json.take_boolean() ? 1.0f : 0.0f;
  return static_cast<float>(json.take_number());
}

void take_targets(JsonReader& json, std::vector<float>& targets) {
  targets.clear();
  json.begin_array();
  while (json.next_element()) {
    if (targets.size() == kMostTargets) json.fail("more than " + std::to_string(kMostTargets) + " targets of a node");
    targets.push_back(take_target(json));
  }
}

// Targets of the first node; 1 when nodes have a single class; 0 for an empty map.
std::size_t count_columns(const InputFile& file) {
  JsonReader json(file);
  std::string key;
  json.begin_object();
  if (!json.next_key(key)) return 0;
  if (json.peek() != JsonReader::Kind::array) return 1;
  std::vector<float> targets;
  take_targets(json, targets);
  if (targets.size() < 2) json.fail("a list of " + std::to_string(targets.size()) + " targets: expected two or more");
  return targets.size();
}

}  // namespace

NodeId resolve_number(const JsonReader& json, const std::string& key, std::uint64_t nodes) {
  std::uint64_t id = 0;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
  if (error != std::errc() || end != key.data() + key.size() || id >= nodes) {
    json.fail("node id '" + key.substr(0, 40) + "' is not in [0, " + std::to_string(nodes) + ")");
  }
  return static_cast<NodeId>(id);
}

NodeId take_node(JsonReader& json, std::uint64_t nodes) {
  const std::int64_t id = json.take_integer();
  if (id < 0 || static_cast<std::uint64_t>(id) >= nodes) {
    json.fail("node id " + std::to_string(id) + " is not in [0, " + std::to_string(nodes) + ")");
  }
  return static_cast<NodeId>(id);
}

ImportedLabels read_class_map(const InputFile& file, std::uint64_t nodes, const ResolveNode& resolve,
                              MemoryBudget& budget) {
  const std::size_t columns = count_columns(file);
  if (columns == 0) return {};
  JsonReader json(file);
  LabelBuilder builder(budget, nodes, columns, 0, [&json](std::uint64_t, const std::string& what) { json.fail(what); });
  const Array<std::uint8_t> seen(budget, nodes, "labelled nodes");
  std::vector<float> targets;
  std::string key;
  json.begin_object();
  while (json.next_key(key)) {
    const NodeId node = resolve(json, key);
    if (seen[node]++ != 0) json.fail("node " + key.substr(0, 40) + " has a label already");
    if ((json.peek() == JsonReader::Kind::array) != (columns > 1)) {
      json.fail("some nodes have a single class and others a list of targets");
    }
    if (columns == 1) {
      builder.set_class(node, json.take_number());
      continue;
    }
    take_targets(json, targets);
    if (targets.size() != columns) {
      json.fail("node " + key.substr(0, 40) + " has " + std::to_string(targets.size()) + " targets, expected " +
                std::to_string(columns));
    }
    builder.set_targets(node, targets);
  }
  json.end();
  return builder.take();
}

}  // namespace strata
