"""The ways in which a checkpoint can be named, sound and unsound."""
import os
import shutil

import arrays
import writing
from cases import Case, Variable, flat

TENSORS = {"a": ("float32", [3]), "b": ("int64", [])}


def saved(rng, directory, v1, sharded=False):
    """A small checkpoint in a directory, and its prefix."""
    directory.mkdir(parents=True, exist_ok=True)
    tensors = {n: (d, arrays.random_array(rng, d, shape)) for n, (d, shape) in TENSORS.items()}
    pieces = [(name, "", dtype, array) for name, (dtype, array) in tensors.items()]
    return writing.raw(rng, directory, v1, pieces, tensors, shards=2 if sharded else 1)


def question(rng, kind, path, checkpoint, directory):
    tensors = checkpoint.tensors
    variables = [Variable(n, list(a.shape), d) for n, (d, a) in tensors.items()]
    return Case(
        kind, path, [("/", "/")] if rng.random() < 0.9 else [], variables,
        {n: flat(d, a) for n, (d, a) in tensors.items()}, directory=str(directory),
        question=rng.choice(["resolve", "resolve", "list"]),
    )  # fmt: skip


def case(rng, directory):
    """A path to a checkpoint, or nearly so."""
    v1, sharded = rng.random() < 0.3, rng.random() < 0.3
    folder = rng.choice(["x", "x", "with space", "π", "we[ird]", "a*b", "deep/er", "q?", "back\\s"])
    checkpoint = saved(rng, directory / folder, v1, sharded)
    prefix = checkpoint.prefix
    relative = os.path.relpath(prefix, directory)
    here = os.path.dirname(prefix)
    name = os.path.basename(prefix)
    (directory / folder / "state").write_text("not a checkpoint")
    (directory / folder / "model.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(2040))
    forms = {
        "prefix": prefix, "relative": relative, "dotted": f"./{relative}",
        "through the parent": f"{here}/../{os.path.basename(here)}/{name}",
        "double slash": f"{here}//{name}", "file URI": f"file://{prefix}",
        "trailing slash": f"{prefix}/", "index": f"{prefix}.index",
        "data file": f"{prefix}.data-00000-of-00001", "missing": f"{prefix}x",
        "missing parent": f"{here}/none/{name}", "empty": "", "wildcard": f"{here}/ra?",
        "star": f"{here}/*", "any": f"{here}/raw*", "classes": f"{here}/r[a-c]w*",
        "negated": f"{here}/[!x]aw*", "directory without state": here, "other file": f"{here}/state", "HDF5 file": f"{here}/model.h5",
        "wild directory": f"{os.path.dirname(here)}/*/{name}", "tilde": f"~/{name}", "dot": ".",
        "one shard": f"{here}/raw-00000-of-00002", "braces": f"{here}/{{raw}}",
        "escaped": f"{here}/r\\aw", "meta": f"{prefix}.meta",
    }  # fmt: skip
    if v1 and not sharded:
        for ending in [".index", ".meta", ".data-00000-of-00001"]:
            # Beside nothing that it could be a part of.
            (directory / "other").mkdir(exist_ok=True)
            forms[f"table called {ending}"] = str(directory / "other" / f"model{ending}")
            shutil.copy(prefix, forms[f"table called {ending}"])
    kind = rng.choice(list(forms))
    return question(
        rng, f"{checkpoint.kind}, path: {kind}, in {folder}", forms[kind], checkpoint, directory
    )


def spelled(rng, text):
    """A string in one of the ways of protobuf's text format."""
    quote = rng.choice("\"'")
    ways = ["plain", "plain", "octal", "hex", "split", "unicode"]
    letters = []
    for letter in text:
        way = rng.choice(ways) if rng.random() < 0.2 else "plain"
        if not letter.isascii():
            way = "plain"
        if way == "octal":
            letters.append(f"\\{ord(letter):03o}")
        elif way == "hex":
            letters.append(f"\\x{ord(letter):02x}")
        elif way == "unicode":
            letters.append(f"\\u{ord(letter):04x}")
        elif way == "split":
            letters.append(quote + rng.choice(["", " ", "\n", "\t# more\n"]) + quote + letter)
        else:
            letters.append("\\" + letter if letter in "\"'\\" else letter)
    return quote + "".join(letters) + quote


def state_text(rng, path):
    """A state file's text that names a path."""
    field = "model_checkpoint_path"
    space = lambda: rng.choice(["", " ", " ", "  ", "\t", "\n", "\r\n", " # c: 'x'\n"])
    line = lambda value, name=field: (
        f"{space()}{name}{space()}:{space()}{value}{rng.choice(['', '', ';', ','])}"
        f"{rng.choice([chr(10), chr(10), ' ', chr(13) + chr(10)])}"
    )
    others = [
        line(spelled(rng, "older-1"), "all_model_checkpoint_paths"),
        line(f"[{spelled(rng, 'a')}, {spelled(rng, 'b')}]", "all_model_checkpoint_paths"),
        line(rng.choice(["1.5", "1e9", "-3", "inf", "nan", "1.f", ".5", "7"]),
             "all_model_checkpoint_timestamps"),
        line("[1, 2.5]", "all_model_checkpoint_timestamps"), line("[]", "all_model_checkpoint_paths"),
        line("1700000000.25", "last_preserved_timestamp"),
        line(spelled(rng, "not this")), "# a comment\n", "\n",
    ]  # fmt: skip
    lines = rng.sample(others, rng.randint(0, 3)) + [line(spelled(rng, path))]
    lines += rng.sample(others[:6], rng.randint(0, 2))
    return "".join(lines)


FAULTS = {
    "unknown field": lambda rng, text: text + "foo: 1\n",
    "extension": lambda rng, text: text + "[foo.bar]: 1\n",
    "no colon": lambda rng, text: text.replace(":", "", 1),
    "number for a string": lambda rng, text: "model_checkpoint_path: 3\n",
    "open string": lambda rng, text: text + "model_checkpoint_path: \"x\n",
    "byte order mark": lambda rng, text: "\ufeff" + text,
    "not UTF-8": lambda rng, text: text.encode() + b"\xff",
    "escape that is not UTF-8": lambda rng, text: text + "model_checkpoint_path: '\\377'\n",
    "empty": lambda rng, text: "",
    "comment only": lambda rng, text: "# nothing\n",
    "empty path": lambda rng, text: "model_checkpoint_path: ''\n",
    "only all": lambda rng, text: "all_model_checkpoint_paths: 'raw'\n",
    "a letter changed": lambda rng, text: changed(rng, text),
    "cut": lambda rng, text: text[: rng.randrange(len(text))],
    "braces": lambda rng, text: "{" + text + "}",
    "list of one": lambda rng, text: "model_checkpoint_path: ['raw']\n",
    "NUL": lambda rng, text: text + "\0",
}


def changed(rng, text):
    at = rng.randrange(len(text))
    return text[:at] + rng.choice("\"'\\:;,#[]{}<>x0 \n-.") + text[at + 1 :]


def state_file(rng, directory):
    """A directory with a state file, in any spelling."""
    v1, sharded = rng.random() < 0.3, rng.random() < 0.2
    folder = directory / rng.choice(["d", "with space", "π"])
    checkpoint = saved(rng, folder, v1, sharded)
    name = os.path.basename(checkpoint.prefix)
    places = {
        "relative": name, "absolute": checkpoint.prefix, "dotted": f"./{name}",
        "through the parent": f"../{folder.name}/{name}", "gone": "gone", "gone absolute": f"{folder}/gone",
        "moved": f"{directory}/before/{name}", "URI": f"file://{checkpoint.prefix}",
        "directory": str(folder), "wildcard": "ra*", "index": f"{name}.index",
    }  # fmt: skip
    place = rng.choice(["relative"] * 8 + ["absolute"] * 4 + list(places))
    text = state_text(rng, places[place])
    fault = ""
    if rng.random() < 0.35:
        fault = rng.choice(list(FAULTS))
        text = FAULTS[fault](rng, text)
    state = folder / "checkpoint"
    if rng.random() < 0.04:
        fault = "a directory"
        state.mkdir()
    else:
        state.write_bytes(text if isinstance(text, bytes) else text.encode())
    path = rng.choice([str(folder), f"{folder}/", folder.name, f"./{folder.name}", f"file://{folder}"])
    kind = f"{checkpoint.kind}, state file: {place}{', ' + fault if fault else ''}"
    return question(rng, kind, path, checkpoint, directory)
