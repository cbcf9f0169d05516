#include "tests/support/dense_model.hpp"

#include <cmath>

#include "tests/support/dense_saint.hpp"

namespace strata::test {

Dense multiply(const Dense& a, const Dense& b) {
  Dense c(a.rows, b.cols);
  for (std::size_t i = 0; i < a.rows; ++i) {
    for (std::size_t k = 0; k < a.cols; ++k) {
      for (std::size_t j = 0; j < b.cols; ++j) c(i, j) += a(i, k) * b(k, j);
    }
  }
  return c;
}

Dense transpose(const Dense& a) {
  Dense t(a.cols, a.rows);
  for (std::size_t i = 0; i < a.rows; ++i) {
    for (std::size_t j = 0; j < a.cols; ++j) t(j, i) = a(i, j);
  }
  return t;
}

Dense normalised_adjacency(const TinyGraph& graph, Aggregation aggregation) {
  const std::size_t n = graph.in.size();
  Dense a(n, n);
  const bool loop = aggregation == Aggregation::sym || aggregation == Aggregation::row_with_self;
  for (std::size_t i = 0; i < n; ++i) {
    for (const NodeId j : graph.in[i]) a(i, j) += 1;
    if (loop) a(i, i) += 1;
  }
  std::vector<double> degree(n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) degree[i] += a(i, j);
  }
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      if (a(i, j) == 0) continue;
      if (aggregation == Aggregation::sym) a(i, j) /= std::sqrt(degree[i] * degree[j]);
      if (aggregation == Aggregation::mean || aggregation == Aggregation::row_with_self) a(i, j) /= degree[i];
    }
  }
  return a;
}

double dense_activation(Activation f, double z) {
  switch (f) {
    case Activation::none: return z;
    case Activation::relu: return z > 0 ? z : 0;
    case Activation::leaky_relu: return z > 0 ? z : 0.2 * z;
    case Activation::elu: return z > 0 ? z : std::expm1(z);
    case Activation::gelu: return z * 0.5 * std::erfc(-z / std::sqrt(2.0));
    case Activation::tanh: return std::tanh(z);
    case Activation::sigmoid: return 1 / (1 + std::exp(-z));
  }
  return z;
}

double dense_activation_slope(Activation f, double z) {
  switch (f) {
    case Activation::none: return 1;
    case Activation::relu: return z > 0 ? 1 : 0;
    case Activation::leaky_relu: return z > 0 ? 1 : 0.2;
    case Activation::elu: return z > 0 ? 1 : std::exp(z);
    case Activation::gelu:
      return 0.5 * std::erfc(-z / std::sqrt(2.0)) + z * std::exp(-z * z / 2) / std::sqrt(2 * 3.14159265358979323846);
    case Activation::tanh: return 1 - std::tanh(z) * std::tanh(z);
    case Activation::sigmoid: return dense_activation(f, z) * (1 - dense_activation(f, z));
  }
  return 1;
}

namespace {

Dense tensor(const Parameters<double>& p, std::size_t index) {
  const MatrixView<const double> m = p.matrix(index);
  Dense d(m.rows, m.cols);
  for (std::size_t i = 0; i < m.rows; ++i) {
    for (std::size_t j = 0; j < m.cols; ++j) d(i, j) = m(i, j);
  }
  return d;
}

// What the backward pass needs of a layer's forward.
struct Tape {
  Dense pre, normed;
  std::vector<double> mean, rstd;
  DenseSaint saint;
};

void layer_norm(const Dense& z, const Dense& gain, const Dense& offset, double epsilon, Tape& tape) {
  tape.normed = Dense(z.rows, z.cols);
  for (std::size_t i = 0; i < z.rows; ++i) {
    double mean = 0, var = 0;
    for (std::size_t c = 0; c < z.cols; ++c) mean += z(i, c) / static_cast<double>(z.cols);
    for (std::size_t c = 0; c < z.cols; ++c) var += (z(i, c) - mean) * (z(i, c) - mean) / static_cast<double>(z.cols);
    tape.mean.push_back(mean);
    tape.rstd.push_back(1 / std::sqrt(var + epsilon));
    for (std::size_t c = 0; c < z.cols; ++c) {
      tape.normed(i, c) = gain(0, c) * (z(i, c) - mean) * tape.rstd[i] + offset(0, c);
    }
  }
}

Dense layer_norm_backward(const Dense& dy, const Dense& gain, const Tape& tape, double* dgain, double* doffset) {
  Dense dz(dy.rows, dy.cols);
  const double n = static_cast<double>(dy.cols);
  for (std::size_t i = 0; i < dy.rows; ++i) {
    double sum_q = 0, sum_qz = 0;
    const auto zhat = [&](std::size_t c) { return (tape.pre(i, c) - tape.mean[i]) * tape.rstd[i]; };
    for (std::size_t c = 0; c < dy.cols; ++c) {
      dgain[c] += dy(i, c) * zhat(c);
      doffset[c] += dy(i, c);
      sum_q += dy(i, c) * gain(0, c);
      sum_qz += dy(i, c) * gain(0, c) * zhat(c);
    }
    for (std::size_t c = 0; c < dy.cols; ++c) {
      dz(i, c) = tape.rstd[i] * (dy(i, c) * gain(0, c) - sum_q / n - zhat(c) * sum_qz / n);
    }
  }
  return dz;
}

class DenseModel {
 public:
  DenseModel(const Model& model, const Parameters<double>& p, const TinyGraph& graph)
      : model_(model), p_(p), a_(normalised_adjacency(graph, model.aggregation())) {
    tapes_.resize(model.layers.size());
    input_ = Dense(graph.in.size(), model.layers.front().in);
    for (std::size_t i = 0; i < input_.v.size(); ++i) input_.v[i] = graph.features[i];
    for (std::size_t hop = 1; hop < model.layers.front().hops; ++hop) input_ = multiply(a_, input_);
  }

  void forward(DenseRun& run) {
    for (std::size_t l = 0; l < model_.layers.size(); ++l) {
      const LayerSpec& layer = model_.layers[l];
      Dense y = layer_forward(l, l == 0 ? input_ : run.x[l - 1]);
      if (layer.skip > 0) add(y, l >= layer.skip ? run.x[l - layer.skip] : input_);
      run.x.push_back(y);
      if (l == 0) first_ = y;
    }
  }

  // run.alpha.back() is set; fills the rest and the gradients.
  void backward(DenseRun& run) {
    run.gradients.assign(p_.size(), 0);
    for (std::size_t l = model_.layers.size(); l-- > 0;) {
      const LayerSpec& layer = model_.layers[l];
      const Dense below = layer_backward(l, l == 0 ? input_ : run.x[l - 1], run.alpha[l], run);
      // Lemma 3: every layer that reads X adds to its gradient; what stands there comes from residuals of layers above.
      if (l > 0) add(run.alpha[l - 1], below);
      if (layer.initial) add(run.alpha[0], at_first_);
      if (layer.skip > 0 && l >= layer.skip) add(run.alpha[l - layer.skip], run.alpha[l]);
    }
  }

  // Without the residual.
  Dense layer_forward(std::size_t l, const Dense& x) {
    const LayerSpec& layer = model_.layers[l];
    Tape tape;
    if (layer.is_saint()) {
      const Dense y = dense_saint_forward(layer, p_, a_, x, tape.saint);
      tapes_[l] = tape;
      return y;
    }
    tape.pre = layer.initial ? initial_forward(layer, x) : multiply(x, transpose(tensor(p_, layer.weight)));
    if (layer.aggregates() && !layer.initial) tape.pre = multiply(a_, tape.pre);
    if (layer.has_root()) add(tape.pre, multiply(x, transpose(tensor(p_, layer.root_weight))));
    const Dense bias = layer.bias == kNoTensor ? Dense(1, layer.out) : tensor(p_, layer.bias);
    for (std::size_t i = 0; i < tape.pre.rows; ++i) {
      for (std::size_t c = 0; c < tape.pre.cols; ++c) tape.pre(i, c) += bias(0, c);
    }
    if (layer.has_norm)
      layer_norm(tape.pre, tensor(p_, layer.norm_gain), tensor(p_, layer.norm_offset), layer.norm_epsilon, tape);
    Dense y = layer.has_norm ? tape.normed : tape.pre;
    for (double& value : y.v) value = dense_activation(layer.activation, value);
    tapes_[l] = tape;
    return y;
  }

  // After layer_forward() at the same x: adds to run.gradients, returns the gradient at x, without residuals.
  Dense layer_backward(std::size_t l, const Dense& x, Dense delta, DenseRun& run) {
    const LayerSpec& layer = model_.layers[l];
    if (layer.is_saint()) return dense_saint_backward(layer, p_, a_, tapes_[l].saint, std::move(delta), run.gradients);
    const Dense& activated = layer.has_norm ? tapes_[l].normed : tapes_[l].pre;
    for (std::size_t i = 0; i < delta.v.size(); ++i)
      delta.v[i] *= dense_activation_slope(layer.activation, activated.v[i]);
    if (layer.has_norm) {
      delta = layer_norm_backward(delta, tensor(p_, layer.norm_gain), tapes_[l], gradient(run, layer.norm_gain),
                                  gradient(run, layer.norm_offset));
    }
    if (layer.initial) return initial_backward(layer, x, delta, run);
    for (std::size_t i = 0; i < delta.rows && layer.bias != kNoTensor; ++i) {
      for (std::size_t c = 0; c < delta.cols; ++c) gradient(run, layer.bias)[c] += delta(i, c);
    }
    const Dense through = layer.aggregates() ? multiply(transpose(a_), delta) : delta;  // A^T delta
    put(run, layer.weight, multiply(transpose(through), x));
    Dense below = multiply(through, tensor(p_, layer.weight));
    if (layer.has_root()) {
      put(run, layer.root_weight, multiply(transpose(delta), x));
      add(below, multiply(delta, tensor(p_, layer.root_weight)));
    }
    return below;
  }

  // X of the first layer, for layers with an initial residual; the gradient at it, of the last layer_backward().
  void set_first(const Dense& x) { first_ = x; }
  [[nodiscard]] const Dense& at_first() const { return at_first_; }

 private:
  [[nodiscard]] std::size_t second_weight(const LayerSpec& layer) const {
    return layer.initial->weight == kNoTensor ? layer.weight : layer.initial->weight;
  }
  // (1 - b) x + b x W
  [[nodiscard]] Dense mapped(double b, const Dense& x, const Dense& w) const {
    Dense y = multiply(x, w);
    for (std::size_t i = 0; i < y.v.size(); ++i) y.v[i] = (1 - b) * x.v[i] + b * y.v[i];
    return y;
  }
  // (1 - a) A [(1 - b) x + b x W] + a [(1 - b) X^1 + b X^1 W2]
  Dense initial_forward(const LayerSpec& layer, const Dense& x) const {
    const double a = layer.initial->alpha, b = layer.initial->beta;
    Dense pre = multiply(a_, mapped(b, x, tensor(p_, layer.weight)));
    const Dense rest = mapped(b, first_, tensor(p_, second_weight(layer)));
    for (std::size_t i = 0; i < pre.v.size(); ++i) pre.v[i] = (1 - a) * pre.v[i] + a * rest.v[i];
    return pre;
  }
  Dense initial_backward(const LayerSpec& layer, const Dense& x, const Dense& delta, DenseRun& run) {
    const double a = layer.initial->alpha, b = layer.initial->beta;
    const Dense through = multiply(transpose(a_), delta);
    put(run, layer.weight, multiply(transpose(x), through), b * (1 - a));
    put(run, second_weight(layer), multiply(transpose(first_), delta), b * a);
    Dense below = mapped(b, through, transpose(tensor(p_, layer.weight)));
    at_first_ = mapped(b, delta, transpose(tensor(p_, second_weight(layer))));
    for (double& value : below.v) value *= 1 - a;
    for (double& value : at_first_.v) value *= a;
    return below;
  }
  static void add(Dense& to, const Dense& from) {
    for (std::size_t i = 0; i < to.v.size(); ++i) to.v[i] += from.v[i];
  }
  double* gradient(DenseRun& run, std::size_t index) const { return run.gradients.data() + p_.tensors()[index].offset; }
  void put(DenseRun& run, std::size_t index, const Dense& g, double factor = 1) const {
    for (std::size_t i = 0; i < g.v.size(); ++i) gradient(run, index)[i] += factor * g.v[i];
  }

  const Model& model_;
  const Parameters<double>& p_;
  Dense a_, input_, first_, at_first_;
  std::vector<Tape> tapes_;
};

double loss_gradient(const TinyGraph& graph, bool multilabel, double scale, const Dense& logits, Dense& g) {
  double loss = 0;
  for (const NodeId i : graph.train) {
    if (multilabel) {
      for (std::size_t c = 0; c < logits.cols; ++c) {
        const double z = logits(i, c), t = graph.targets[i][c];
        loss += scale * (-t * std::log(1 / (1 + std::exp(-z))) - (1 - t) * std::log(1 / (1 + std::exp(z))));
        g(i, c) = scale * (1 / (1 + std::exp(-z)) - t);
      }
      continue;
    }
    double sum = 0;
    for (std::size_t c = 0; c < logits.cols; ++c) sum += std::exp(logits(i, c));
    const std::size_t label = static_cast<std::size_t>(graph.labels[i]);
    loss += scale * (std::log(sum) - logits(i, label));
    for (std::size_t c = 0; c < logits.cols; ++c)
      g(i, c) = scale * (std::exp(logits(i, c)) / sum - (c == label ? 1 : 0));
  }
  return loss;
}

}  // namespace

DenseRun run_dense(const Model& model, const Parameters<double>& parameters, const TinyGraph& graph, bool multilabel,
                   double loss_scale) {
  DenseRun run;
  DenseModel dense(model, parameters, graph);
  dense.forward(run);
  run.alpha.resize(model.layers.size());
  for (std::size_t l = 0; l < model.layers.size(); ++l) run.alpha[l] = Dense(graph.in.size(), model.layers[l].out);
  run.loss = loss_gradient(graph, multilabel, loss_scale, run.x.back(), run.alpha.back());
  dense.backward(run);
  return run;
}

Dense dense_gradient_below(const Model& model, const Parameters<double>& parameters, const TinyGraph& graph,
                           std::size_t layer, const Dense& x, const Dense* alpha, const Dense* first, Dense* at_first) {
  DenseModel dense(model, parameters, graph);
  if (first != nullptr) dense.set_first(*first);
  DenseRun ignored;
  ignored.gradients.assign(parameters.size(), 0);
  const Dense y = dense.layer_forward(layer, x);
  if (alpha != nullptr) {
    Dense below = dense.layer_backward(layer, x, *alpha, ignored);
    if (at_first != nullptr) *at_first = dense.at_first();
    return below;
  }
  Dense g(y.rows, y.cols);
  (void)loss_gradient(graph, false, 1, y, g);
  return dense.layer_backward(layer, x, g, ignored);
}

}  // namespace strata::test
