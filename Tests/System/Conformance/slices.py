"""Tensors that are stored in slices, cut along any axes, and variables that are cut otherwise."""
import arrays
import maps
import writing
from cases import Case, Variable, flat


def intervals(rng, length, count):
    """The axis in so many runs at most: (start, length) of each."""
    cuts = sorted(rng.sample(range(1, length), min(count, length) - 1))
    return [(a, b - a) for a, b in zip([0, *cuts], [*cuts, length])]


def tiling(rng, shape):
    """Boxes that cover a shape: a grid, or cut again and again where it happens."""
    boxes = [[(0, length) for length in shape]]
    if rng.random() < 0.5:
        for axis, length in enumerate(shape):
            runs = intervals(rng, length, rng.choice([1, 1, 2, 3]))
            boxes = [box[:axis] + [run] + box[axis + 1:] for box in boxes for run in runs]
    else:
        for _ in range(rng.randint(0, 5)):
            box = boxes.pop(rng.randrange(len(boxes)))
            axis = rng.randrange(len(shape))
            start, length = box[axis]
            runs = [(start + a, n) for a, n in intervals(rng, length, 2)]
            boxes += [box[:axis] + [run] + box[axis + 1:] for run in runs]
    return boxes


def random_box(rng, shape):
    box = []
    for length in shape:
        start = rng.randrange(length)
        box.append((start, rng.randint(1, length - start)))
    return box


def spec(rng, shape, box):
    """What SaveV2 calls the slice; the whole of an axis may be `-`."""
    items = [
        "-" if (start, length) == (0, full) and rng.random() < 0.5 else f"{start},{length}"
        for full, (start, length) in zip(shape, box)
    ]
    return " ".join(map(str, shape)) + " " + ":".join(items)


def cut(array, box):
    return array[tuple(slice(start, start + length) for start, length in box)]


def case(rng, directory):
    """One tensor in slices, perhaps with some missing or overlapping, and pieces of it wanted."""
    v1 = rng.random() < 0.35
    shape = [rng.choice([1, 2, 3, 5, 8]) for _ in range(rng.randint(1, 4))]
    without = arrays.NOT_IN_V1 if v1 else arrays.NOT_IN_SLICES if rng.random() < 0.8 else ()
    dtype = arrays.random_dtype(rng, without)
    array = arrays.random_array(rng, dtype, shape)
    boxes = tiling(rng, shape)
    fault = rng.choice(["", "", "", "", ", incomplete", ", overlapping"])
    if fault == ", incomplete":
        boxes.pop(rng.randrange(len(boxes)))
    elif fault:
        box, whole = random_box(rng, shape), [(0, length) for length in shape]
        # TensorFlow does not even save a slice twice, or the whole among slices.
        if box not in boxes and box != whole and whole not in boxes:
            boxes.append(box)
    rng.shuffle(boxes)
    pieces = [("t", spec(rng, shape, box), dtype, cut(array, box)) for box in boxes]
    other = arrays.random_array(rng, "float32", [3])
    pieces.append(("other", "", "float32", other))
    checkpoint = writing.raw(rng, directory, v1, pieces, {"t": (dtype, array)})
    resource = dtype in arrays.RESOURCE_ONLY or rng.random() < 0.8
    variables, pairs, saved = [], [], {}
    for number in range(rng.randint(1, 3)):
        name, way = f"v{number}", rng.random()
        if way < 0.3:
            made = Variable(name, shape, dtype, resource=resource)
        elif way < 0.5:
            counts = writing.random_counts(rng, shape, dtype)
            made = Variable(name, shape, dtype, counts, resource=resource)
        else:
            # As TensorFlow would name a piece that no partitioner made.
            box = rng.choice(boxes) if boxes and rng.random() < 0.4 else random_box(rng, shape)
            made = Variable(
                f"{name}/piece", [n for _, n in box], dtype, resource=resource,
                slice=(name, shape, [start for start, _ in box]),
            )  # fmt: skip
        variables.append(made)
        names = [part.name for part in made.parts()]
        pairs.append(("t", {"variables": names} if made.slice or made.counts else name))
        saved |= {part.name: flat(dtype, part.of(array)) for part in made.parts()}
    if rng.random() < 0.3:
        variables.append(Variable("o", [3], "float32"))
        pairs.append(("other", "o"))
        saved["o"] = flat("float32", other)
    return Case(
        f"{checkpoint.kind}, slices{fault}", rng.choice(checkpoint.paths), pairs, variables,
        saved, options=maps.options(rng), spelled_out=rng.random() < 0.5,
    )  # fmt: skip
