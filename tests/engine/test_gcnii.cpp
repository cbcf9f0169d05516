// GCNII: what the model is (check 5 of the methods' list), the gradient at X^1 that all layers add to, and the bits of
// deep runs. Gradients and IGLU's checks are with the other models' (test_gradients.cpp, test_iglu.cpp).
#include <doctest/doctest.h>

#include <cmath>

#include "engine/gcnii_tile.hpp"
#include "engine/initial_gradient.hpp"
#include "engine/methods/sweep.hpp"
#include "kernels/base/error.hpp"
#include "kernels/base/rng.hpp"
#include "tests/engine/runs.hpp"

namespace strata::test {
namespace {

TrainOptions gcnii_options(const std::filesystem::path& directory, std::size_t layers, bool exact) {
  TrainOptions o = base_options(directory, exact);
  o.model.kind = ModelKind::gcnii;
  o.model.layers = layers;
  return o;
}

TEST_CASE("gcnii has the tensors of PyG's example, and the shares of the paper") {
  ModelOptions options = gcnii_options({}, 3, true).model;
  options.gcnii_alpha = 0.25;
  options.gcnii_theta = 1.5;
  for (const bool shared : {true, false}) {
    options.gcnii_shared = shared;
    const Model model = build_model(options, MethodKind::iglu, 7, 4);
    std::vector<std::string> names;
    for (const TensorSpec& tensor : model.tensors) names.push_back(tensor.name);
    const auto convs = [&](const std::string& k) {
      return shared ? std::vector<std::string>{k + "weight1"} : std::vector<std::string>{k + "weight1", k + "weight2"};
    };
    std::vector<std::string> expected = {"lins.0.weight", "lins.0.bias"};
    for (const char* k : {"convs.0.", "convs.1.", "convs.2."}) {
      for (const std::string& name : convs(k)) expected.push_back(name);
    }
    for (const char* name : {"lins.1.weight", "lins.1.bias"}) expected.emplace_back(name);
    CHECK(names == expected);
    CHECK(model.tensors.front().shape == std::vector<std::size_t>{6, 7});
    CHECK(model.tensors[2].shape == std::vector<std::size_t>{6, 6});
    CHECK(model.tensors.back().shape == std::vector<std::size_t>{4});
    CHECK(model.group_names == std::vector<std::string>{"layer1", "layer2", "layer3", "layer4", "head"});
    CHECK(model.aggregation() == Aggregation::sym);
    REQUIRE(model.layers.size() == 5);
    CHECK(model.has_head);
    CHECK_FALSE(model.layers.front().initial.has_value());
    CHECK_FALSE(model.layers.back().initial.has_value());
    for (std::size_t k = 1; k <= 3; ++k) {
      REQUIRE(model.layers[k].initial.has_value());
      CHECK(model.layers[k].initial->alpha == 0.25);
      CHECK(model.layers[k].initial->beta == doctest::Approx(std::log(1.5 / static_cast<double>(k) + 1)));
    }
  }
}

std::string refused(ModelOptions options, MethodKind method = MethodKind::full) {
  try {
    (void)build_model(options, method, 7, 4);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("gcnii refuses what it has no place for, and says why") {
  ModelOptions options = gcnii_options({}, 3, true).model;
  CHECK(refused(options).empty());
  options.classifier = ClassifierKind::none;
  CHECK(refused(options).find("--classifier none") != std::string::npos);
  options.classifier = ClassifierKind::linear;
  CHECK(refused(options).empty());
  options.residual = ResidualKind::add2;
  CHECK(refused(options).find("--residual") != std::string::npos);
  options.residual = ResidualKind::none;
  CHECK(refused(options, MethodKind::sgc).find("--model gcn only") != std::string::npos);
}

// X^k of all nodes, of layers without an activation.
std::vector<std::vector<double>> outputs(const Store& store, TrainOptions options) {
  options.model.activation = Activation::none;
  Engine<double> engine(store, options);
  ForwardRows<double> rows(engine.session, engine.session.sets, true);
  const std::size_t layers = engine.session.model.layers.size();
  rows.sweep(layers, Masks{}, SweepParts::all);
  std::vector<std::vector<double>> x;
  for (std::size_t l = 0; l < layers; ++l) {
    x.push_back(rows_of_nodes<double>(rows.by_node(l), every_node(engine.session.nodes())));
  }
  return x;
}

TEST_CASE("without weights and initial residual a layer is A X (check 5), with nothing but the residual it is X^1") {
  TempDir dir;
  TinyStoreOptions o;
  o.all_train = true;
  o.undirected = false;
  const TinyGraph graph = make_tiny_store(dir.path() / "store", o);
  const Store store(dir.path() / "store");
  for (const Aggregation aggregation : {Aggregation::sym, Aggregation::row_with_self}) {
    for (const bool shared : {true, false}) {
      TrainOptions options = gcnii_options(dir.path(), 3, true);
      options.model.aggregation = aggregation;
      options.model.gcnii_shared = shared;
      options.model.gcnii_alpha = options.model.gcnii_theta = 0;
      const auto x = outputs(store, options);
      const Dense a = normalised_adjacency(graph, aggregation);
      for (std::size_t k = 1; k <= 3; ++k) {
        Dense below(o.nodes, options.model.hidden);
        below.v = x[k - 1];
        CHECK(relative_difference(x[k], multiply(a, below).v) < 1e-12);
        CHECK(relative_difference(x[k], x[k - 1]) > 1e-3);
      }
      options.model.gcnii_alpha = 1;
      const auto still = outputs(store, options);
      for (std::size_t k = 1; k <= 3; ++k) CHECK(still[k] == still[0]);
    }
  }
}

// kChunkRows rows, those from `rows` on zero.
std::vector<double> random_tile(std::size_t rows, std::size_t cols, std::uint64_t seed) {
  std::vector<double> values(kChunkRows * cols);
  CounterRng rng(seed, Stream::synthetic);
  for (std::size_t i = 0; i < rows * cols; ++i) values[i] = rng.uniform() - 0.5;
  return values;
}

// A layer's gradients are the transposes of its map: <forward(direction), dP> = <direction, backward(dP)>.
TEST_CASE("a tile of gcnii is linear in its inputs and weights, and backward is the transpose") {
  for (const bool shared : {true, false}) {
    for (const std::size_t width : {1, 31, 32, 33}) {
      ModelOptions options = gcnii_options({}, 2, true).model;
      options.hidden = width;
      options.gcnii_shared = shared;
      options.gcnii_alpha = 0.3;
      options.gcnii_theta = 0.7;
      const Model model = build_model(options, MethodKind::full, 3, 2);
      MemoryBudget budget(std::uint64_t{1} << 26);
      const Parameters<double> parameters(model.tensors, model.group_names, 5, budget);
      const GcniiLayer<double> layer(model.layers[2], parameters);
      const auto full = [&](std::vector<double>& v) { return MatrixView<double>(v.data(), kChunkRows, width); };
      const auto dot = [](const std::vector<double>& a, const std::vector<double>& b) {
        double sum = 0;
        for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
        return sum;
      };
      std::vector<double> z = random_tile(700, width, 1), x = random_tile(700, width, 2),
                          dpre = random_tile(700, width, 3);
      const std::vector<double> z0 = z, x0 = x;
      std::vector<double> pre(z.size()), dz(z.size()), dx(z.size());
      gcnii_mix<double>(layer, full(z), full(x));
      gcnii_forward<double>(layer, full(z), full(x), full(pre));
      gcnii_backward_inputs<double>(layer, full(dpre), full(dz), full(dx));
      CHECK(std::abs(dot(pre, dpre) - dot(z0, dz) - dot(x0, dx)) < 1e-10);
      for (std::size_t i = 700 * width; i < z.size(); ++i) REQUIRE((pre[i] == 0 && dz[i] == 0 && dx[i] == 0));
      // the weights' part of P is what is left of it without the identity's
      std::vector<double> dweight(width * width), dweight2(width * width);
      gcnii_backward_weights<double>(layer, full(dpre), full(z), full(x), {dweight.data(), width, width},
                                     {dweight2.data(), width, width});
      double identity = (1 - layer.beta) * dot(z, dpre), weights = 0;
      if (!shared) identity += (1 - layer.beta) * dot(x, dpre);
      for (std::size_t i = 0; i < width * width; ++i) {
        weights += dweight[i] * layer.weight.data[i] + (shared ? 0 : dweight2[i] * layer.weight2.data[i]);
      }
      CHECK(std::abs(dot(pre, dpre) - identity - weights) < 1e-10);
      CHECK(all_zero(dweight2) == shared);
    }
  }
}

TEST_CASE("the gradient at X^1 is gathered exactly, whatever the codec, at the rows of the layer that adds") {
  TempDir dir;
  for (const bool few : {true, false}) {
    TinyStoreOptions o;
    o.undirected = false;
    o.labelled = few ? 0.2 : 1;
    o.all_train = !few;
    if (few) o.edges = 45;
    (void)make_tiny_store(dir.path() / "store", o);
    {
      const Store store(dir.path() / "store");
      TrainOptions options = gcnii_options(dir.path(), 4, false);
      options.codec = options.alpha_codec = Codec::int8;
      Engine<float> engine(store, options);
      InitialGathering<float> gathering(engine.session);
      CHECK(gathering.next(5).store == nullptr);  // the head
      for (std::size_t l = 4; l > 0; --l) {
        const InitialGradient initial = gathering.next(l);
        REQUIRE(initial.store != nullptr);
        CHECK(initial.store->shape().codec == Codec::fp32);
        CHECK(initial.store->shape().rows == engine.session.rows(l).train_rows());
        CHECK(initial.adds == (l < 4 && !few));
        CHECK(static_cast<bool>(initial.above) == (l < 4 && few));
        if (initial.above) CHECK(initial.above.map == &engine.session.rows(l + 1));
      }
      CHECK(gathering.next(0).store == nullptr);
    }
    std::filesystem::remove_all(dir.path() / "store");
  }
}

struct Deep {
  MethodKind method;
  IgluOrder order;
  IgluRefresh refresh;
  bool shared;
  Codec alpha_codec;
};

TEST_CASE("deep gcnii: budget, threads and the way of the products change no bit, with few labels and with many") {
  TempDir dir;
  for (const double labelled : {1.0, 0.1}) {
    TinyStoreOptions o;
    o.nodes = 4000;
    o.edges = labelled == 1 ? 12000 : 4000;
    o.features = 40;
    o.classes = 5;
    o.undirected = false;
    o.labelled = labelled;
    o.shard_rows = 2048;
    (void)make_tiny_store(dir.path() / "store", o);
    {
      const Store store(dir.path() / "store");
      for (const Deep& deep :
           {Deep{MethodKind::full, IgluOrder::inverted, IgluRefresh::once, false, Codec::fp32},
            Deep{MethodKind::iglu, IgluOrder::inverted, IgluRefresh::alternate, true, Codec::fp16},
            Deep{MethodKind::iglu, IgluOrder::backprop, IgluRefresh::alternate, false, Codec::int8}}) {
        CAPTURE(labelled);
        CAPTURE(static_cast<int>(deep.order));
        TrainOptions options = options_for(deep.method, ModelKind::gcnii, dir.path());
        options.model.layers = 4;
        options.model.gcnii_shared = deep.shared;
        options.iglu_order = deep.order;
        options.iglu_refresh = deep.refresh;
        options.alpha_codec = deep.alpha_codec;
        const Result memory = train(store, options);
        CHECK(memory.counters.bytes_written == 0);
        for (const ProductWay way : {ProductWay::columns, ProductWay::tiles}) {
          for (const std::uint32_t threads : {1u, 3u}) {
            options.threads = threads;
            options.product_way = way;
            options.host_memory = least_budget(store, options);
            options.eval_every = threads == 1 ? 0 : 2;
            const Result result = train(store, options, threads == 3);
            CHECK(result == memory);
            CHECK(result.peak <= options.host_memory);
            if (labelled == 1) CHECK(result.counters.bytes_written > 0);
          }
        }
      }
    }
    std::filesystem::remove_all(dir.path() / "store");
  }
}

}  // namespace
}  // namespace strata::test
