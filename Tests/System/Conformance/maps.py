"""Random assignment maps: some that fit a checkpoint, and some without sense."""
import arrays
import writing
from cases import Case, Variable, flat


def random_target(rng, name, saved, store=None):
    """A variable that a saved tensor fits."""
    dtype, array = saved
    store = rng.random() < 0.8 if store is None else store
    counts = None
    if store and array.size and array.ndim and rng.random() < 0.6:
        counts = writing.random_counts(rng, array.shape, dtype)
    resource = dtype in arrays.RESOURCE_ONLY or rng.random() < 0.8
    return Variable(name, list(array.shape), dtype, counts, store, resource)


def options(rng):
    return tuple(
        (["--align", rng.choice(["1", "64", "4096"])] if rng.random() < 0.3 else [])
        + (["--sealed"] if rng.random() < 0.3 else [])
    )


def is_graph_name(name):
    """Returns whether TensorFlow takes a name for that of a variable."""
    return name.isascii() and all(part[:1].isalnum() for part in name.split("/")) and not set(
        name
    ) & set(" :\\")


class Map:
    """A map that is being made, with the expected values of its variables."""

    def __init__(self, rng, checkpoint):
        self.rng, self.tensors = rng, checkpoint.tensors
        self.pairs, self.variables, self.saved = [], [], {}

    def declare(self, name, tensor, store=None):
        made = random_target(self.rng, name, self.tensors[tensor], store)
        self.variables.append(made)
        dtype, array = self.tensors[tensor]
        self.saved |= {part.name: flat(dtype, part.of(array)) for part in made.parts()}
        return made

    def some(self, tensors):
        return self.rng.sample(tensors, self.rng.randint(min(1, len(tensors)), len(tensors)))

    def map_scope(self, scope, target):
        """All of a checkpoint's scope, into a scope of the same names."""
        inside = [t for t in sorted(self.tensors) if t.startswith(scope) or scope == "/"]
        for tensor in self.some(inside):
            name = tensor if scope == "/" else tensor[len(scope):]
            name = name if target == "/" else target + name
            if is_graph_name(name) and "/part_" not in name:
                self.declare(name, tensor, store=True)
        self.pairs.append((scope, target))

    def map_one(self, tensor, name):
        """One tensor, to a variable that is named, passed, or passed in partitions."""
        made, rng = self.declare(name, tensor), self.rng
        names = [part.name for part in made.parts()]
        if not made.store:
            self.pairs.append((tensor, {"variable": made.name}))
        elif made.counts and rng.random() < 0.5:
            some = rng.sample(names, rng.randint(1, len(names)))
            for left in set(names) - set(some):
                del self.saved[left]
            self.pairs.append((tensor, {"variables": some}))
        elif not made.counts and rng.random() < 0.3:
            self.pairs.append((tensor, {"variable": made.name}))
        else:
            self.pairs.append((tensor, made.name))


def round_trip(rng, directory):
    """A random checkpoint and a random map that fits it."""
    checkpoint = writing.random_checkpoint(rng, directory)
    made = Map(rng, checkpoint)
    tensors = sorted(checkpoint.tensors)
    scopes = sorted({t[: t.rindex("/") + 1] for t in tensors if "/" in t} - {"/"})
    form = rng.choice(["mixed", "mixed", "mixed", "from root", "to root", "identity"])
    if form == "from root":
        made.map_scope("/", "new/")
    elif form == "identity":
        made.map_scope("/", "/")
    elif form == "to root" and scopes:
        made.map_scope(rng.choice(scopes), "/")
    else:
        form = "mixed"
        for number, scope in enumerate(scopes):
            if rng.random() < 0.5:
                made.map_scope(scope, f"s{number}/in/")
        for number, tensor in enumerate(rng.choices(tensors, k=rng.randint(1, 6))):
            made.map_one(tensor, f"v{number}/name")
        rng.shuffle(made.pairs)
    return Case(
        f"{checkpoint.kind}, {form} map", rng.choice(checkpoint.paths), made.pairs,
        made.variables, made.saved, options=options(rng), spelled_out=rng.random() < 0.5,
    )  # fmt: skip


def listing(rng, directory):
    """The names, types and shapes of all tensors."""
    checkpoint = writing.random_checkpoint(rng, directory)
    return Case(
        f"{checkpoint.kind}, list", rng.choice(checkpoint.paths), [], [], question="list"
    )


FIXED = {
    "v": ("float32", [2, 3]), "big": ("float32", [6, 4]), "sc/a": ("float32", [4]),
    "sc/b": ("int32", [2, 2]), "sc/sub/c": ("float32", [3]), "m/w": ("float32", [6, 4]),
    "n": ("float32", [2, 3]), "n/a": ("float32", [4]), "w": ("float64", [2, 3]),
}  # fmt: skip
KEYS = [
    "/", "sc/", "sc/", "sc", "sc//", "sc/sub/", "//", "", "v", "v", "v:0", "v/", "big", "big",
    "sc/a", "sc/b", "sc/sub/c", "nope", "nope/", "m/", "m/w", "w", "n", "n/",
]  # fmt: skip
TARGETS = [
    "/", "//", "", "n/", "n/", "n", "n/a", "n/a/", "n/sub/", "n/sub/c", "n/m", "m/", "m/w", "m/w/",
    "m/w/part_0", "m", "w", "w:0", "zzz", "zzz/", "w/", "o", "n/part_1", "wide",
]  # fmt: skip
SENSIBLE = [
    ("sc/", "n/"), ("/", "n/"), ("n/", "n/"), ("sc/a", "n/a"), ("n/a", "n/a"), ("v", "w"),
    ("n", "w"), ("big", "m/w"), ("m/w", "m/w"), ("m/", "m/"), ("sc/sub/", "n/sub/"),
    ("v", {"variable": "o"}),
]  # fmt: skip


def fixed_checkpoint(rng, directory):
    made = {n: (d, arrays.random_array(rng, d, shape)) for n, (d, shape) in FIXED.items()}
    kind = rng.choice(["", " sharded", " partitioned", " partitioned sharded"])
    return writing.by_saver(rng, directory, rng.choice(["V1", "V2", "V2"]) + kind, made)


def odd_variables(rng):
    """Variables that fit here and there."""
    resource = rng.random() < 0.7
    variables = [
        Variable("n/a", [4], "float32"), Variable("n/sub/c", [3], "float32"),
        Variable("w", [2, 3], "float32"), Variable("o", [2, 3], "float32", store=False),
        Variable("m/w", [6, 4], "float32", rng.choice([[3, 1], [1, 2], [1, 1]])),
    ]  # fmt: skip
    others = [
        Variable("n/b", [2, 2], "int32"), Variable("n/part_1", [3], "float32"),
        Variable("m/x", [6, 4], "float32", [1, 3]), Variable("m/y", [5, 4], "float32", [2, 1]),
        Variable("wide", [2, 3], "float64"), Variable("sc/a", [5], "float32"),
    ]  # fmt: skip
    variables += [variable for variable in others if rng.random() < 0.3]
    for variable in variables:
        variable.resource = resource
    return variables


def odd(rng, directory):
    """A map that need not make sense."""
    checkpoint = fixed_checkpoint(rng, directory)
    variables = odd_variables(rng)
    names = [part.name for variable in variables for part in variable.parts()]
    cut = [variable for variable in variables if variable.counts]

    def target():
        kind = rng.random()
        if kind < 0.65:
            return rng.choice(TARGETS)
        if kind < 0.8:
            return {"variable": rng.choice(names)}
        if kind < 0.95:
            parts = [part.name for part in rng.choice(cut).parts()]
            return {"variables": rng.sample(parts, rng.randint(0, len(parts)))}
        return {"variables": rng.choices(names, k=rng.randint(1, 3))}

    pairs = [
        rng.choice(SENSIBLE) if rng.random() < 0.6 else (rng.choice(KEYS), target())
        for _ in range(rng.choice([0, 1, 1, 2, 2, 3, 3, 4, 4]))
    ]
    return Case(
        f"{checkpoint.kind}, odd map", rng.choice(checkpoint.paths), pairs, variables,
        options=options(rng), spelled_out=rng.random() < 0.5,
    )  # fmt: skip


MISTAKES = {
    "missing tensor": (("nope", "n/w"), Variable("n/w", [2, 3], "float32")),
    "missing in a scope": (("sc/", "n/"), Variable("n/w", [2, 3], "float32")),
    "misspelled variable": (("v", "n/ww"), Variable("n/w", [2, 3], "float32")),
    "scope without a slash": (("sc", "n/"), Variable("n/w", [2, 3], "float32")),
    "outside the store by name": (("v", "n/w"), Variable("n/w", [2, 3], "float32", store=False)),
    "other shape": (("v", "n/w"), Variable("n/w", [3, 2], "float32")),
    "other rank": (("v", "n/w"), Variable("n/w", [6], "float32")),
    "other shape in a scope": (("sc/", "n/"), Variable("n/a", [5], "float32")),
    "one partition by name": (("big", "n/w/part_0"), Variable("n/w", [6, 4], "float32", [2, 1])),
    "other full shape": (("big", "n/w"), Variable("n/w", [8, 4], "float32", [2, 1])),
    "other dtype": (("v", "n/w"), Variable("n/w", [2, 3], "float64")),
    "other dtype of a partition": (("big", "n/w"), Variable("n/w", [6, 4], "int32", [2, 1])),
    "other dtype in a scope": (("sc/", "n/"), Variable("n/a", [4], "int32")),
    "an empty list for nothing": (("nope", {"variables": []}), Variable("n/w", [4], "float32")),
    "an empty list": (("v", {"variables": []}), Variable("n/w", [4], "float32")),
    "no partition in a list": (("v", {"variables": ["n/w"]}), Variable("n/w", [2, 3], "float32")),
}


def mistaken(rng, directory):
    """A map with one mistake, among correct pairs."""
    checkpoint = fixed_checkpoint(rng, directory)
    kind = rng.choice([*MISTAKES, "slices of two tensors", "a tensor twice"])
    if kind == "slices of two tensors":
        variables = [Variable(f"n/{x}", [6, 4], "float32", [2, 1]) for x in "ab"]
        pairs = [("big", {"variables": ["n/a/part_0", "n/b/part_1"]})]
    elif kind == "a tensor twice":
        variables = [Variable("n/w", [4], "float32")]
        pairs = [("sc/a", "n/w"), ("n/a", "n/w"), ("sc/a", "n/w")][: rng.randint(2, 3)]
    else:
        pair, variable = MISTAKES[kind]
        variables, pairs = [variable], [pair]
    for number in range(rng.choice([0, 0, 1, 2])):
        tensor = rng.choice(list(FIXED))
        dtype, shape = FIXED[tensor]
        variables = variables + [Variable(f"good/v{number}", shape, dtype)]
        pairs = pairs + [(tensor, f"good/v{number}")]
    rng.shuffle(pairs)
    return Case(
        f"{checkpoint.kind}, {kind}", rng.choice(checkpoint.paths), pairs, variables,
        spelled_out=rng.random() < 0.5,
    )  # fmt: skip
