"""Variables that find their values by name, in checkpoints of objects."""
import tensorflow as tf

import arrays
import maps
import writing
from cases import Case, Variable, flat


def saved(rng, directory, tensors):
    """Saves variables as attributes of objects whose names differ from the variables'."""
    root = tf.train.Checkpoint()
    for number, (called, dtype, array) in enumerate(tensors):
        value = arrays.tensor_of(dtype, array)
        with tf.device("/cpu:0"):
            made = tf.Variable(value, shape=array.shape, name=called)
        node = root
        if rng.random() < 0.5:
            setattr(root, f"part{number}", tf.train.Checkpoint())
            node = getattr(root, f"part{number}")
        setattr(node, f"kept{number}", made)
    if rng.random() < 0.5:
        return [root.write(f"{directory}/object")]
    return [root.save(f"{directory}/object"), str(directory)]


def case(rng, directory):
    """A checkpoint of objects, and variables for `warm_start` as for `--object-names`."""
    without = arrays.NOT_ASSIGNABLE | {"string"}
    tensors = writing.random_tensors(rng, without)
    rows = [(name, dtype, array) for name, (dtype, array) in tensors.items()]
    fault = rng.choice(["", "", "", "", "missing", "ambiguous", "equal", "shape", "dtype"])
    if fault == "ambiguous":
        name, dtype, array = rng.choice(rows)
        rows.append((name, dtype, arrays.random_array(rng, dtype, list(array.shape))))
    if fault == "equal":
        # As Keras 3 exports them: all of them twice.
        rows += rows
    paths = saved(rng, directory, rows)
    names = rng.sample(sorted(tensors), rng.randint(1, len(tensors)))
    variables = [maps.random_target(rng, name, tensors[name], store=True) for name in names]
    wrong = rng.choice(variables)
    if fault in ("shape", "dtype"):
        # So that nothing else can be wrong.
        for variable in variables:
            variable.counts = None
    if fault == "missing":
        variables.append(Variable("nowhere/w", [2], "float32"))
    elif fault == "shape":
        wrong.shape = [*wrong.shape, 2]
    elif fault == "dtype":
        wrong.dtype, wrong.resource = "int64" if wrong.dtype != "int64" else "float32", True
    values = {}
    for variable in variables:
        if variable.name in tensors and variable is not (wrong if fault in ("shape", "dtype") else None):
            dtype, array = tensors[variable.name]
            values |= {part.name: flat(dtype, part.of(array)) for part in variable.parts()}
    return Case(
        f"object-based, warm start{': ' + fault if fault else ''}", rng.choice(paths),
        [(variable.name, variable.name) for variable in variables], variables, values,
        question="warm_start", options=("--object-names",),
    )  # fmt: skip
