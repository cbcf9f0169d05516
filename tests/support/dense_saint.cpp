#include "tests/support/dense_saint.hpp"

#include <cmath>

namespace strata::test {

namespace {

Dense tensor(const Parameters<double>& p, std::size_t index) {
  const MatrixView<const double> m = p.matrix(index);
  Dense d(m.rows, m.cols);
  for (std::size_t i = 0; i < m.rows; ++i) {
    for (std::size_t j = 0; j < m.cols; ++j) d(i, j) = m(i, j);
  }
  return d;
}

void add_gradient(const Parameters<double>& p, std::size_t index, const Dense& g, std::vector<double>& gradients) {
  for (std::size_t i = 0; i < g.v.size(); ++i) gradients[p.tensors()[index].offset + i] += g.v[i];
}

std::size_t weight_of(const LayerSpec& layer, std::size_t branch) {
  return branch == 0 ? layer.root_weight : layer.weight;
}

// zhat of a row, and 1 / its deviation.
std::vector<double> standardised(const Dense& h, std::size_t row, double epsilon, double& rstd) {
  const double n = static_cast<double>(h.cols);
  double mean = 0, variance = 0;
  for (std::size_t c = 0; c < h.cols; ++c) mean += h(row, c) / n;
  for (std::size_t c = 0; c < h.cols; ++c) variance += (h(row, c) - mean) * (h(row, c) - mean) / n;
  rstd = 1 / std::sqrt(variance + epsilon);
  std::vector<double> zhat(h.cols);
  for (std::size_t c = 0; c < h.cols; ++c) zhat[c] = (h(row, c) - mean) * rstd;
  return zhat;
}

Dense normed(const NormSpec& norm, const Parameters<double>& p, const Dense& h) {
  if (norm.kind == NormKind::none) return h;
  const Dense gain = tensor(p, norm.gain), offset = tensor(p, norm.offset);
  Dense b(h.rows, h.cols);
  for (std::size_t i = 0; i < h.rows; ++i) {
    double rstd = 0;
    const std::vector<double> zhat = standardised(h, i, norm.epsilon, rstd);
    for (std::size_t c = 0; c < h.cols; ++c) b(i, c) = gain(0, c) * zhat[c] + offset(0, c);
  }
  return b;
}

Dense normed_backward(const NormSpec& norm, const Parameters<double>& p, const Dense& h, const Dense& db,
                      std::vector<double>& gradients) {
  if (norm.kind == NormKind::none) return db;
  const Dense gain = tensor(p, norm.gain);
  Dense dgain(1, h.cols), doffset(1, h.cols), dh(h.rows, h.cols);
  const double n = static_cast<double>(h.cols);
  for (std::size_t i = 0; i < h.rows; ++i) {
    double rstd = 0;
    const std::vector<double> zhat = standardised(h, i, norm.epsilon, rstd);
    for (std::size_t j = 0; j < h.cols; ++j) {
      dgain(0, j) += db(i, j) * zhat[j];
      doffset(0, j) += db(i, j);
      for (std::size_t c = 0; c < h.cols; ++c) {
        const double slope = rstd * ((j == c ? 1 : 0) - 1 / n - zhat[j] * zhat[c] / n);
        dh(i, c) += db(i, j) * gain(0, j) * slope;
      }
    }
  }
  add_gradient(p, norm.gain, dgain, gradients);
  add_gradient(p, norm.offset, doffset, gradients);
  return dh;
}

double length(const Dense& rows, std::size_t i) {
  double square = 0;
  for (std::size_t c = 0; c < rows.cols; ++c) square += rows(i, c) * rows(i, c);
  return std::sqrt(square);
}

// The columns of a branch in rows of both, or all where they were added.
Dense part_of(const LayerSpec& layer, const Dense& rows, std::size_t branch) {
  if (layer.saint.sum) return rows;
  Dense part(rows.rows, layer.saint.branch);
  for (std::size_t i = 0; i < rows.rows; ++i) {
    for (std::size_t c = 0; c < part.cols; ++c) part(i, c) = rows(i, branch * part.cols + c);
  }
  return part;
}

}  // namespace

Dense dense_saint_forward(const LayerSpec& layer, const Parameters<double>& p, const Dense& a, const Dense& x,
                          DenseSaint& tape) {
  tape.inputs = {x, multiply(a, x)};
  tape.sum = Dense(x.rows, layer.saint.width());
  for (std::size_t b = 0; b < 2; ++b) {
    tape.pre[b] = multiply(tape.inputs[b], transpose(tensor(p, weight_of(layer, b))));
    tape.hidden[b] = tape.pre[b];
    for (double& v : tape.hidden[b].v) v = dense_activation(layer.activation, v);
    const Dense end = normed(layer.after[b], p, tape.hidden[b]);
    const std::size_t first = layer.saint.sum ? 0 : b * layer.saint.branch;
    for (std::size_t i = 0; i < x.rows; ++i) {
      for (std::size_t c = 0; c < end.cols; ++c) tape.sum(i, first + c) += end(i, c);
    }
  }
  if (layer.saint.classifier == kNoTensor) return tape.sum;
  tape.rows = tape.sum;
  for (std::size_t i = 0; i < x.rows && layer.saint.l2; ++i) {
    for (std::size_t c = 0; c < tape.sum.cols; ++c) tape.rows(i, c) /= length(tape.sum, i);
  }
  return multiply(tape.rows, transpose(tensor(p, layer.saint.classifier)));
}

Dense dense_saint_backward(const LayerSpec& layer, const Parameters<double>& p, const Dense& a, const DenseSaint& tape,
                           Dense dy, std::vector<double>& gradients) {
  if (layer.saint.classifier != kNoTensor) {
    add_gradient(p, layer.saint.classifier, multiply(transpose(dy), tape.rows), gradients);
    const Dense drows = multiply(dy, tensor(p, layer.saint.classifier));
    dy = layer.saint.l2 ? Dense(drows.rows, drows.cols) : drows;
    for (std::size_t i = 0; i < drows.rows && layer.saint.l2; ++i) {
      for (std::size_t j = 0; j < drows.cols; ++j) {
        for (std::size_t c = 0; c < drows.cols; ++c) {
          const double slope = ((j == c ? 1 : 0) - tape.rows(i, j) * tape.rows(i, c)) / length(tape.sum, i);
          dy(i, c) += drows(i, j) * slope;
        }
      }
    }
  }
  Dense below(tape.inputs[0].rows, tape.inputs[0].cols);
  for (std::size_t b = 0; b < 2; ++b) {
    Dense delta = normed_backward(layer.after[b], p, tape.hidden[b], part_of(layer, dy, b), gradients);
    for (std::size_t i = 0; i < delta.v.size(); ++i) {
      delta.v[i] *= dense_activation_slope(layer.activation, tape.pre[b].v[i]);
    }
    add_gradient(p, weight_of(layer, b), multiply(transpose(delta), tape.inputs[b]), gradients);
    Dense part = multiply(delta, tensor(p, weight_of(layer, b)));
    if (b == 1) part = multiply(transpose(a), part);
    for (std::size_t i = 0; i < part.v.size(); ++i) below.v[i] += part.v[i];
  }
  return below;
}

}  // namespace strata::test
