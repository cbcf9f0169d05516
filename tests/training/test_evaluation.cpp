// Metrics against twins that count the other way round: pairs for ROC-AUC, sorted classes for accuracy.
#include <doctest/doctest.h>
#include <tbb/global_control.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "engine/evaluation.hpp"
#include "engine/row_access.hpp"
#include "kernels/base/error.hpp"
#include "kernels/base/rng.hpp"
#include "kernels/loss.hpp"
#include "tests/support/temp_dir.hpp"

namespace strata {
namespace {

constexpr std::uint64_t kPlenty = std::uint64_t{1} << 28;

// The probability that a positive scores higher than a negative, a tie counting half.
double auc_by_pairs(const std::vector<float>& scores, const std::vector<std::uint8_t>& positive) {
  double wins = 0;
  double pairs = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    for (std::size_t j = 0; j < scores.size(); ++j) {
      if (positive[i] == 0 || positive[j] != 0) continue;
      wins += scores[i] > scores[j] ? 1.0 : scores[i] == scores[j] ? 0.5 : 0.0;
      pairs += 1;
    }
  }
  return wins / pairs;
}

TEST_CASE("ROC-AUC agrees with counting pairs, ties and signed zeros included") {
  CounterRng rng(3, Stream::synthetic);
  for (const std::uint32_t n : {2u, 3u, 10u, 57u, 300u}) {
    std::vector<float> scores(n);
    std::vector<std::uint8_t> positive(n);
    for (std::uint32_t i = 0; i < n; ++i) {
      scores[i] = (static_cast<float>(rng.below(7)) - 3) * (rng.below(2) != 0 ? 1.0f : -1.0f);  // many ties, -0 too
      positive[i] = static_cast<std::uint8_t>(rng.below(2));
    }
    positive[0] = 1;
    positive[1] = 0;
    CAPTURE(n);
    CHECK(roc_auc(scores, positive) == doctest::Approx(auc_by_pairs(scores, positive)).epsilon(1e-12));
  }
}

TEST_CASE("ROC-AUC at its ends") {
  using Bytes = std::vector<std::uint8_t>;
  using Floats = std::vector<float>;
  CHECK(roc_auc(Floats{1, 2, 3, 4}, Bytes{0, 0, 1, 1}) == 1.0);
  CHECK(roc_auc(Floats{1, 2, 3, 4}, Bytes{1, 1, 0, 0}) == 0.0);
  CHECK(roc_auc(Floats{5, 5, 5}, Bytes{1, 0, 1}) == 0.5);
  CHECK(roc_auc(Floats{0.0f, -0.0f}, Bytes{1, 0}) == 0.5);
  CHECK(std::isnan(roc_auc(Floats{1, 2}, Bytes{1, 1})));
  CHECK(std::isnan(roc_auc(Floats{1, 2}, Bytes{0, 0})));
  CHECK(std::isnan(roc_auc({}, {})));
  const float inf = std::numeric_limits<float>::infinity();
  CHECK(roc_auc(Floats{-inf, -1, inf}, Bytes{0, 1, 1}) == 1.0);
  CHECK(roc_auc(Floats{std::nanf(""), 1}, Bytes{1, 0}) == 0.0);
}

// Logits in a row store, with random labels, some missing.
struct Fixture {
  Fixture(std::uint32_t n, std::uint32_t c, Task task, std::uint64_t limit = kPlenty)
      : nodes(n), classes(c), budget(limit), buffers(budget, {directory / "cache", UINT64_MAX, true}) {
    CounterRng rng(17, Stream::synthetic, n, c);
    values.resize(std::size_t{n} * c);
    for (float& v : values) v = static_cast<float>(rng.below(9)) * 0.5f - 2.0f;  // ties on purpose
    make_labels(task, rng);
    logits = buffers.create("logits", {n, c, Codec::fp32});
    for (std::size_t chunk = 0; chunk < logits.shape().chunks(); ++chunk) {
      write_chunk<float>(logits, chunk, {values.data() + chunk * kChunkRows * c, logits.shape().chunk_rows(chunk), c});
    }
    for (NodeId i = 0; i < n; ++i) {
      if (rng.below(3) != 0) ids.push_back(i);
    }
  }

  void make_labels(Task task, CounterRng& rng) {
    labels.task = task;
    labels.target_stride = divide_up(classes, 8);
    labels.classes = Array<std::int32_t>(budget, task == Task::multiclass ? nodes : 0, "labels");
    labels.targets = Array<std::uint8_t>(budget, task == Task::multilabel ? nodes * labels.target_stride : 0, "labels");
    labels.labelled = Array<std::uint8_t>(budget, task == Task::multilabel ? nodes : 0, "labels");
    for (NodeId i = 0; i < nodes; ++i) {
      const bool known = rng.below(5) != 0;
      if (task == Task::multiclass) {
        labels.classes[i] = known ? static_cast<std::int32_t>(rng.below(classes)) : kUnlabelled;
        continue;
      }
      labels.labelled[i] = known ? 1 : 0;
      for (std::uint32_t c = 0; c + 1 < classes; ++c) {  // the last task has no positive: it must be skipped
        labels.targets[i * labels.target_stride + c / 8] |= static_cast<std::uint8_t>(rng.below(2) << (c % 8));
      }
    }
  }

  [[nodiscard]] bool known(NodeId i) const {
    return labels.task == Task::multiclass ? labels.classes[i] != kUnlabelled : labels.labelled[i] != 0;
  }
  [[nodiscard]] int target(NodeId i, std::uint32_t c) const {
    return labels.targets[i * labels.target_stride + c / 8] >> (c % 8) & 1;
  }
  [[nodiscard]] double logit(NodeId i, std::uint32_t c) const { return values[std::size_t{i} * classes + c]; }
  SplitScore score(Metric metric) { return evaluate<float>(logits, labels, ids, metric, budget); }

  std::uint32_t nodes, classes;
  TempDir directory;
  MemoryBudget budget;
  BufferManager buffers;
  Labels labels;
  std::vector<float> values;
  std::vector<NodeId> ids;
  RowStore logits;
};

SplitScore naive_multiclass(const Fixture& f) {
  SplitScore result;
  for (const NodeId i : f.ids) {
    if (!f.known(i)) continue;
    ++result.nodes;
    const auto wanted = static_cast<std::uint32_t>(f.labels.classes[i]);
    double sum = 0;
    bool right = true;
    for (std::uint32_t c = 0; c < f.classes; ++c) {
      sum += std::exp(f.logit(i, c));
      if (f.logit(i, c) > f.logit(i, wanted) || (f.logit(i, c) == f.logit(i, wanted) && c < wanted)) right = false;
    }
    result.loss += std::log(sum) - f.logit(i, wanted);
    result.metric += right ? 1 : 0;
  }
  result.loss /= static_cast<double>(result.nodes);
  result.metric /= static_cast<double>(result.nodes);
  return result;
}

TEST_CASE("accuracy and cross entropy of every size agree with the twin") {
  for (const std::uint32_t n : {1u, 31u, 1023u, 1024u, 1025u, 2100u}) {
    for (const std::uint32_t classes : {2u, 3u, 33u}) {
      CAPTURE(n);
      CAPTURE(classes);
      Fixture f(n, classes, Task::multiclass);
      const SplitScore score = f.score(Metric::accuracy);
      const SplitScore expected = naive_multiclass(f);
      CHECK(score.nodes == expected.nodes);
      if (expected.nodes == 0) continue;
      CHECK(score.metric == doctest::Approx(expected.metric).epsilon(1e-12));
      CHECK(score.loss == doctest::Approx(expected.loss).epsilon(1e-5));
      CHECK(f.score(Metric::micro_f1).metric == score.metric);
    }
  }
}

TEST_CASE("micro-F1 and binary cross entropy of many labels agree with the twin") {
  for (const std::uint32_t classes : {1u, 7u, 8u, 9u, 40u}) {
    Fixture f(1500, classes, Task::multilabel);
    double right = 0, predicted = 0, wanted = 0, loss = 0, nodes = 0;
    for (const NodeId i : f.ids) {
      if (!f.known(i)) continue;
      ++nodes;
      for (std::uint32_t c = 0; c < classes; ++c) {
        const double z = f.logit(i, c);
        const int t = f.target(i, c);
        right += z > 0 && t == 1 ? 1 : 0;
        predicted += z > 0 ? 1 : 0;
        wanted += t;
        loss += -t * std::log(1 / (1 + std::exp(-z))) - (1 - t) * std::log(1 / (1 + std::exp(z)));
      }
    }
    CAPTURE(classes);
    const SplitScore score = f.score(Metric::micro_f1);
    const double precision = predicted > 0 ? right / predicted : 0;
    const double recall = wanted > 0 ? right / wanted : 0;
    const double f1 = precision + recall > 0 ? 2 * precision * recall / (precision + recall) : 0;
    CHECK(score.metric == doctest::Approx(f1).epsilon(1e-12));
    CHECK(score.loss == doctest::Approx(loss / nodes / classes).epsilon(1e-5));
    CHECK(score.nodes == static_cast<std::uint64_t>(nodes));
  }
}

double naive_mean_auc(const Fixture& f) {
  double sum = 0;
  int tasks = 0;
  for (std::uint32_t c = 0; c < f.classes; ++c) {
    std::vector<float> scores;
    std::vector<std::uint8_t> positive;
    for (const NodeId i : f.ids) {
      if (!f.known(i)) continue;
      scores.push_back(static_cast<float>(f.logit(i, c)));
      positive.push_back(static_cast<std::uint8_t>(f.target(i, c)));
    }
    const double area = auc_by_pairs(scores, positive);
    if (std::isnan(area)) continue;
    sum += area;
    ++tasks;
  }
  return sum / tasks;
}

TEST_CASE("ROC-AUC averages over the tasks that have both classes, whatever memory there is") {
  Fixture plenty(1400, 11, Task::multilabel);
  const double expected = naive_mean_auc(plenty);
  CHECK(plenty.score(Metric::roc_auc).metric == doctest::Approx(expected).epsilon(1e-12));
  // Little memory: the tasks no longer fit at once.
  Fixture scarce(1400, 11, Task::multilabel, std::uint64_t{320} << 10);
  const tbb::global_control one(tbb::global_control::max_allowed_parallelism, 1);
  CHECK(scarce.score(Metric::roc_auc).metric == plenty.score(Metric::roc_auc).metric);
}

TEST_CASE("ROC-AUC of two classes ranks by the difference of the logits") {
  Fixture f(700, 2, Task::multiclass);
  std::vector<float> scores;
  std::vector<std::uint8_t> positive;
  for (const NodeId i : f.ids) {
    if (!f.known(i)) continue;
    scores.push_back(static_cast<float>(f.logit(i, 1) - f.logit(i, 0)));
    positive.push_back(f.labels.classes[i] == 1);
  }
  CHECK(f.score(Metric::roc_auc).metric == doctest::Approx(auc_by_pairs(scores, positive)).epsilon(1e-12));
}

TEST_CASE("threads change no bit of a score") {
  Fixture f(5000, 13, Task::multiclass);
  std::vector<double> losses;
  for (const std::size_t threads : {1u, 2u, 5u}) {
    const tbb::global_control control(tbb::global_control::max_allowed_parallelism, threads);
    losses.push_back(f.score(Metric::accuracy).loss);
  }
  CHECK(losses[0] == losses[1]);
  CHECK(losses[0] == losses[2]);
}

TEST_CASE("no nodes, no labels, NaN logits") {
  Fixture f(40, 3, Task::multiclass);
  f.ids.clear();
  CHECK(f.score(Metric::accuracy).nodes == 0);
  for (NodeId i = 0; i < f.nodes; ++i) f.labels.classes[i] = kUnlabelled;
  f.ids = {0, 5, 39};
  CHECK(f.score(Metric::accuracy).nodes == 0);
  CHECK(f.score(Metric::accuracy).loss == 0);
  for (NodeId i = 0; i < f.nodes; ++i) f.labels.classes[i] = 0;
  std::fill(f.values.begin(), f.values.end(), std::nanf(""));
  write_chunk<float>(f.logits, 0, {f.values.data(), f.nodes, f.classes});
  CHECK(f.score(Metric::accuracy).metric == 0);  // not class 0 by accident
}

StoreInfo info(Task task, std::uint64_t classes, const std::string& metric) {
  StoreInfo store;
  store.task = task;
  store.classes = classes;
  store.metric = metric;
  return store;
}

TEST_CASE("the metric follows the store unless told, and must fit the labels") {
  CHECK(choose_metric("auto", info(Task::multiclass, 5, "accuracy")) == Metric::accuracy);
  CHECK(choose_metric("auto", info(Task::multiclass, 5, "")) == Metric::accuracy);
  CHECK(choose_metric("auto", info(Task::multilabel, 5, "")) == Metric::micro_f1);
  CHECK(choose_metric("auto", info(Task::multilabel, 5, "roc-auc")) == Metric::roc_auc);
  CHECK(choose_metric("roc-auc", info(Task::multiclass, 2, "accuracy")) == Metric::roc_auc);
  CHECK(choose_metric("micro-f1", info(Task::multiclass, 7, "accuracy")) == Metric::micro_f1);
  CHECK_THROWS_AS(static_cast<void>(choose_metric("roc-auc", info(Task::multiclass, 3, ""))), UsageError);
  CHECK_THROWS_AS(static_cast<void>(choose_metric("accuracy", info(Task::multilabel, 3, ""))), UsageError);
  CHECK_THROWS_AS(static_cast<void>(choose_metric("auto", info(Task::none, 0, ""))), UsageError);
  CHECK_THROWS_AS(static_cast<void>(choose_metric("recall", info(Task::multiclass, 3, ""))), UsageError);
}

}  // namespace
}  // namespace strata
