"""The questions to TensorFlow and Warmstart: a checkpoint's path, a map, variables."""
import dataclasses

import numpy as np

# Types whose elements are bytes with meaningless high bits.
LOW_BITS = {"int4": 0x0F, "uint4": 0x0F, "float4_e2m1fn": 0x0F, "int2": 0x03, "uint2": 0x03}


def flat(dtype, array):
    """What is compared of an array: its shape, and its bytes or strings."""
    array = np.asarray(array, object if dtype == "string" else None)
    if dtype == "string":
        return list(array.shape), list(array.reshape(-1))
    data = np.ascontiguousarray(array).tobytes()
    if dtype in LOW_BITS:
        data = bytes(byte & LOW_BITS[dtype] for byte in data)
    return list(array.shape), data


@dataclasses.dataclass
class Part:
    """One variable in TensorFlow's sense: a whole one, or a partition with its place."""

    name: str
    shape: list
    offset: list | None = None

    def of(self, array):
        """The part of a tensor's array that belongs here."""
        if self.offset is None:
            return array
        return array[tuple(slice(o, o + n) for o, n in zip(self.offset, self.shape))]


@dataclasses.dataclass
class Variable:
    """A variable of the trainer.

    `counts` is what a partitioner returns. `slice` is (full name, full shape, offset), for a
    variable that is a piece of another without a partitioner.
    """

    name: str
    shape: list
    dtype: str
    counts: list | None = None
    store: bool = True
    resource: bool = True
    slice: tuple | None = None

    def parts(self):
        if self.slice:
            return [Part(self.name, self.shape, list(self.slice[2]))]
        if not self.counts:
            return [Part(self.name, self.shape)]
        axis = next((a for a, count in enumerate(self.counts) if count > 1), 0)
        count = self.counts[axis]
        made, start = [], 0
        for number in range(count):
            length = self.shape[axis] // count + (number < self.shape[axis] % count)
            offset, shape = [0] * len(self.shape), list(self.shape)
            offset[axis], shape[axis] = start, length
            made.append(Part(f"{self.name}/part_{number}", shape, offset))
            start += length
        return made

    def entries(self, spelled_out):
        """The variable in a file of variables; spelled out, each partition separately."""
        common = {"dtype": self.dtype}
        if not self.store:
            common["store"] = False
        if self.counts and not spelled_out:
            return [{"name": self.name, "shape": self.shape, "partitions": self.counts, **common}]
        full_name, full_shape = (self.slice or (self.name, self.shape))[:2]
        entries = []
        for part in self.parts():
            entry = {"name": part.name, "shape": part.shape, **common}
            if part.offset is not None:
                entry["slice"] = {
                    "full_name": full_name, "full_shape": full_shape, "offset": part.offset,
                }  # fmt: skip
            entries.append(entry)
        return entries


@dataclasses.dataclass
class Case:
    """One question. A target in `pairs` is a name, or {"variable": …} or {"variables": […]}."""

    kind: str
    path: str
    pairs: list
    variables: list
    # The expected value of each part where TensorFlow cannot answer; None if it is unknown.
    saved: dict | None = None
    # "resolve", "list": only the tensors' names, types and shapes, or "warm_start", which resolves
    # all variables by the names that they had.
    question: str = "resolve"
    # The working directory of both programs.
    directory: str | None = None
    # Whether TensorFlow may end the process that asks it.
    is_risky: bool = False
    options: tuple = ()
    spelled_out: bool = False

    def described(self):
        return f"{self.path} {self.pairs} {self.variables}"


@dataclasses.dataclass
class Refusal:
    """An error, of either side."""

    name: str
    message: str
    # Of TensorFlow: whether variables were being initialized.
    at_run_time: bool = False
    # Of Warmstart: the reasons of all details.
    reasons: tuple = ()

    def __str__(self):
        return f"{self.name}: {self.message}"
