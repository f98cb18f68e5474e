"""Make the PyJuice fixtures with PyJuice 2.6.3 itself; see README.md beside this file."""

import json
from pathlib import Path

import numpy as np
import pyjuice
import torch
from pyjuice.nodes.distributions import Bernoulli, Categorical, Literal

HERE = Path(__file__).parent


def evaluate(root, records):
    """Compute log p(x) in float64 from PyJuice's own node objects (its compiled forward pass needs CUDA)."""
    values = {}
    for vector in root:
        source = vector.get_source_ns()
        if vector.is_input():
            (variable,) = vector.scope.to_list()
            symbols = torch.from_numpy(records[:, variable])
            if isinstance(vector.dist, Literal):
                value = (symbols == vector.dist.lit).double()[:, None].repeat(1, vector.num_nodes)
            elif isinstance(vector.dist, Bernoulli):
                one = source._params.double()
                value = torch.where(symbols[:, None] > 0, one, 1 - one)
            else:
                value = source._params.double().reshape(vector.num_nodes, -1)[:, symbols].T
        elif vector.is_prod():
            edges, block = vector.edge_ids, vector.block_size
            if vector.is_block_sparse():
                edges = (edges[:, None] * block + torch.arange(block)[None, :, None]).reshape(-1, edges.shape[1])
            value = torch.stack([values[child][:, edges[:, c]] for c, child in enumerate(vector.chs)]).prod(0)
        else:
            below = torch.cat([values[child] for child in vector.chs], dim=1)
            value = below @ source.get_params(as_matrix=True).double().T
        values[vector] = value
    return torch.log(values[root][:, 0]).tolist()


def hclt():
    data = torch.randint(0, 4, (200, 6))
    data[:, 1] = data[:, 0]
    data[:, 3] = (data[:, 2] + data[:, 0]) % 4
    kind = {"input_node_params": {"num_cats": 4}, "block_size": 2}
    return pyjuice.structures.HCLT(data.float(), num_latents=4, **kind), np.random.default_rng(0).integers(
        0, 4, (64, 6)
    )


def mixed():
    """Build what the HCLT has not: tied sums, sums over leaves, sparse products, three leaf types, a shared child."""
    first = pyjuice.inputs(0, num_node_blocks=4, dist=Categorical(num_cats=3))
    second = pyjuice.inputs(1, num_node_blocks=4, dist=Bernoulli())
    third = [pyjuice.inputs(2, num_node_blocks=1, dist=Literal(lit)) for lit in (False, True)]
    leaves = pyjuice.summate(first, num_node_blocks=4)
    ones = pyjuice.summate(*third, num_node_blocks=2)
    twos = pyjuice.multiply(
        leaves, second, edge_ids=torch.tensor([[0, 1], [1, 0], [2, 2], [3, 3], [0, 3]]), sparse_edges=True
    )
    mixed = pyjuice.summate(twos, num_node_blocks=2, edge_ids=torch.tensor([[0, 0, 0, 1, 1], [0, 1, 2, 3, 4]]))
    again = pyjuice.summate(pyjuice.multiply(leaves, second), num_node_blocks=2)
    tied = mixed.duplicate(twos, tie_params=True)
    tops = [pyjuice.multiply(part, ones) for part in (mixed, again, tied)]
    root = pyjuice.summate(*tops, num_node_blocks=1)
    return root, np.array([[a, b, c] for a in range(3) for b in range(2) for c in range(2)])


for name, build in (("hclt", hclt), ("mixed", mixed)):
    torch.manual_seed(0)
    root, records = build()
    root.init_parameters()
    pyjuice.save(str(HERE / f"{name}.jpc"), root)
    expected = {"records": records.tolist(), "log_likelihood": evaluate(root, records)}
    (HERE / f"{name}.json").write_text(json.dumps(expected) + "\n")
