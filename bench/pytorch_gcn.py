"""Times a full-batch GCN epoch (forward, loss, backward, Adam) in PyTorch on arrays exported by strata-store.

Two ways: PyG's GCNConv with edge_index (if torch_geometric is installed), and A_hat as torch's CSR matrix times dense.
The model is the same: K convolutions with self-loops and symmetric normalisation, ReLU between them. A_hat is made
once, before the clock starts (GCNConv(cached=True) likewise in its first epoch, which is not counted).
Prints one line a way: median seconds of an epoch, then every epoch.
"""

import argparse
import pathlib
import statistics
import time
import warnings

import numpy as np
import torch
import torch.nn.functional as F


def load(folder):
    read = lambda name: np.load(folder / name)
    edge_index = torch.from_numpy(read("edge_index.npy").astype(np.int64))
    if edge_index.shape[0] != 2:
        edge_index = edge_index.t().contiguous()
    features = torch.from_numpy(read("node_feat.npy").astype(np.float32))
    labels = torch.from_numpy(read("node_label.npy").astype(np.int64).reshape(-1))
    train = torch.from_numpy(read("train.npy").astype(np.int64))
    return edge_index, features, labels, train


def normalised_csr(edge_index, nodes):
    """D^-1/2 (A + I) D^-1/2 with a row for each target; A is symmetric, so it is its own transpose."""
    loops = torch.arange(nodes)
    source = torch.cat([edge_index[0], loops])
    target = torch.cat([edge_index[1], loops])
    scale = torch.bincount(target, minlength=nodes).to(torch.float32).rsqrt()
    values = scale[source] * scale[target]
    return torch.sparse_coo_tensor(torch.stack([target, source]), values, (nodes, nodes)).coalesce().to_sparse_csr()


class CsrProduct(torch.autograd.Function):
    """A @ x for symmetric A, whose gradient is A @ dy: spares torch the transpose in each backward."""

    @staticmethod
    def forward(ctx, matrix, x):
        ctx.matrix = matrix
        return matrix @ x

    @staticmethod
    def backward(ctx, dy):
        return None, ctx.matrix @ dy


class CsrConv(torch.nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.lin = torch.nn.Linear(inputs, outputs, bias=False)
        self.bias = torch.nn.Parameter(torch.zeros(outputs))

    def forward(self, x, matrix):
        return CsrProduct.apply(matrix, self.lin(x)) + self.bias


class Gcn(torch.nn.Module):
    def __init__(self, make_conv, sizes):
        super().__init__()
        self.convs = torch.nn.ModuleList(make_conv(a, b) for a, b in zip(sizes, sizes[1:]))

    def forward(self, x, graph):
        for conv in self.convs[:-1]:
            x = F.relu(conv(x, graph))
        return self.convs[-1](x, graph)


def epoch_seconds(model, x, graph, labels, train, epochs):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    seconds = []
    for _ in range(epochs):
        start = time.perf_counter()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x, graph)[train], labels[train])
        loss.backward()
        optimizer.step()
        loss.item()
        seconds.append(time.perf_counter() - start)
    return seconds[1:]


def show(name, seconds):
    print(f"{name:12} {statistics.median(seconds):.3f} s", " ".join(f"{s:.3f}" for s in seconds), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder with edge_index.npy, node_feat.npy, ...")
    parser.add_argument("--epochs", type=int, default=5, help="at least 2; the first is not counted")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.epochs < 2:
        parser.error("--epochs must be at least 2")
    warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)

    edge_index, x, labels, train = load(options.data)
    sizes = [x.shape[1]] + [options.hidden] * (options.layers - 1) + [int(labels.max()) + 1]
    try:
        from torch_geometric.nn import GCNConv

        model = Gcn(lambda a, b: GCNConv(a, b, cached=True), sizes)
        show("pyg", epoch_seconds(model, x, edge_index, labels, train, options.epochs))
    except ImportError:
        print("pyg          torch_geometric is not installed", flush=True)
    matrix = normalised_csr(edge_index, x.shape[0])
    show("torch-csr", epoch_seconds(Gcn(CsrConv, sizes), x, matrix, labels, train, options.epochs))


if __name__ == "__main__":
    main()
