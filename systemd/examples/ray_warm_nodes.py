"""Ray: warm a checkpoint once on each node of the cluster, then start workers that use it.

usage: python3 ray_warm_nodes.py CHECKPOINT [WORKERS]

CHECKPOINT is the same path on each node, for example in a mount of an object store. Each node needs
a running warmstartd, whose socket the workers of Ray may connect to, and the Python package
warmstart. The names below are those of the checkpoint `demo` of Warmstart's repository. This
prints, as JSON, what was warmed on each node, and what each worker got.
"""

import hashlib
import json
import sys

import ray
import warmstart
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

TABLE = "student/embeddings/word_embeddings"
VARIABLES = [
    # In four partitions, as the checkpoint stores it.
    *warmstart.partitions(TABLE, "float32", [8192, 256], warmstart.fixed_size_partitioner(4)),
    warmstart.Variable("student/embeddings/LayerNorm/beta", "float32", [256]),
    warmstart.Variable("student/embeddings/LayerNorm/gamma", "float32", [256]),
]


# It waits for the daemon and computes nothing, so it takes no processor from the workers.
@ray.remote(num_cpus=0)
def warm(path):
    """Has the daemon of this task's node read and check the whole checkpoint."""
    # Sealed copies, because FUSE drops what the page cache has of a file whenever the file is
    # opened: what jobs use in place may then be fetched from the store again and again.
    with warmstart.open(path) as checkpoint:
        warmed = checkpoint.preload(sealed=True)
    return {"tensors": warmed.tensor_count, "bytes": warmed.byte_count}


def warm_nodes(path):
    """Warms the checkpoint on all nodes at once; waits, and returns what was read on each."""
    nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
    places = [NodeAffinitySchedulingStrategy(node, soft=False) for node in nodes]
    tasks = [warm.options(scheduling_strategy=place).remote(path) for place in places]
    return dict(zip(nodes, ray.get(tasks)))


@ray.remote(num_cpus=1)
class Worker:
    """A worker of the job, wherever Ray starts it."""

    def __init__(self, path):
        # The daemon of the node has the checkpoint ready. Workers with the same options, `sealed`
        # and `alignment`, share one copy of it. It is warm for five minutes after the last job gave
        # it back (`Linger` of the daemon), so let the workers start soon after the warm-up.
        self.variables = warmstart.resolve(path, {"bert/": "student/"}, VARIABLES, sealed=True)

    def describe(self):
        """Returns this worker's node, and the digests of its variables."""
        digests = {TABLE: hashlib.sha256(b"".join(self.variables.parts(TABLE))).hexdigest()}
        for name in ("student/embeddings/LayerNorm/beta", "student/embeddings/LayerNorm/gamma"):
            digests[name] = hashlib.sha256(self.variables[name]).hexdigest()
        return {"node": ray.get_runtime_context().get_node_id(), "sha256": digests}


def main():
    path, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 4
    ray.init()
    warmed = warm_nodes(path)
    workers = [Worker.remote(path) for _ in range(count)]
    got = ray.get([worker.describe.remote() for worker in workers])
    print(json.dumps({"warmed": warmed, "workers": got}, indent=2))


if __name__ == "__main__":
    main()
