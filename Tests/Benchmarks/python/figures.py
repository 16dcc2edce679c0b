"""The tables and the plot of a run's figures."""

import statistics

from plot import svg

# The steps of training.py.
STEPS = ("load", "read")
# With whom which peer of arrays.py is compared.
OURS = {
    "plasma_get": "swift",
    "plasma_buffers": "swift",
    "mmap_safetensors": "warmstart_safetensors",
}
# The MiB of checkpoint.py's tensors.
CHECKPOINT = 1023


def arrays(found):
    """A table of the milliseconds of one process, and of several at once, and of their memory."""
    names = ["median", "best", "last", "cpu", "connect", "ask", "arrays", "touch", "import"]
    names.append("copies")
    lines = [
        "Milliseconds from connecting to arrays: 301 variables, 1 GiB, warm, fresh processes.",
        "Of several at once: the median process of each repetition, and the last; then the median",
        "of the processor's time, and of each step. Copies: what memory all processes have added",
        "(PSS), as multiples of the checkpoint.",
        f"{'':24}{'processes':>10}" + "".join(f"{name:>9}" for name in names),
    ]
    medians = {}
    for peer, count, runs in found:
        each = [middle(one["seconds"] for one in run) for run, _ in runs]
        last = [max(one["seconds"] for one in run) for run, _ in runs]
        every = [one for run, _ in runs for one in run]
        medians[peer, count] = middle(each)
        row = [middle(each), min(each), middle(last), middle(one["cpu"] for one in every)]
        for step in ("connect", "ask", "arrays"):
            row.append(middle(one["steps"].get(step, 0) for one in every))
        row += [middle(one["touch"] for one in every), middle(one["imports"] for one in every)]
        numbers = "".join(f"{1000 * value:9.2f}" for value in row)
        copies = middle(memory for _, memory in runs) / CHECKPOINT
        lines.append(f"{peer:24}{count:>10}{numbers}{copies:9.2f}")
    for (peer, count), median in medians.items():
        ours = OURS.get(peer)
        if (ours, count) in medians:
            lines.append(f"{ours} / {peer}, {count} at once: {medians[ours, count] / median:.2f}")
    return "\n".join(lines) + "\n"


def index(found):
    """A table of the milliseconds until a model in many files is open."""
    lines = [
        "Milliseconds until 200 files with 100,000 tensors are open by their index, warm, in fresh",
        "processes.",
        f"{'':16}{'median':>9}{'best':>9}",
    ]
    times = {peer: [1000 * one["seconds"] for one in runs] for peer, runs in found.items()}
    for peer, each in times.items():
        lines.append(f"{peer:16}{middle(each):9.1f}{min(each):9.1f}")
    ratios = [key(times["library"]) / key(times["warmstart"]) for key in (middle, min)]
    lines.append(f"library / warmstart: {ratios[0]:.1f} (median), {ratios[1]:.1f} (best)")
    return "\n".join(lines) + "\n"


def middle(values):
    return statistics.median(values)


def training(found):
    """A table of the seconds until the last process has read every byte, and of added memory."""
    names = ["median", "best", "cpu", *STEPS, "build", "PSS", "private"]
    lines = [
        "Seconds from opening the checkpoint until the last process has read every byte; the",
        "processor's seconds of all; the median process's seconds of each step, and of what the",
        "program does before; MiB of all processes beyond those that only import TensorFlow.",
        f"{'':12}{'mode':>8}{'processes':>10}" + "".join(f"{name:>10}" for name in names),
    ]
    for row in summary(found):
        numbers = [f"{row[name]:10.2f}" for name in ("median", "best", "cpu", *STEPS, "build")]
        numbers += [f"{row[name]:10.0f}" for name in ("Pss", "Private_Dirty")]
        lines.append(f"{row['peer']:12}{row['mode']:>8}{row['processes']:>10}" + "".join(numbers))
    return "\n".join(lines) + "\n"


def summary(found):
    """The rows of the training table, for the page and for the plot."""
    idle = {
        count: {name: middle(memory[name] for _, memory in runs) for name in runs[0][1]}
        for peer, _, count, runs in found
        if peer == "nothing"
    }
    rows = []
    for peer, mode, count, runs in found:
        if peer == "nothing":
            continue
        walls = [max(one["wall"] for one in run) for run, _ in runs]
        beyond = {
            name: middle(memory[name] for _, memory in runs) - value
            for name, value in idle[count].items()
        }
        row = {"peer": peer, "mode": mode, "processes": count}
        row |= {"median": middle(walls), "best": min(walls), **beyond}
        for step in STEPS:
            row[step] = middle(one["steps"].get(step, 0) for run, _ in runs for one in run)
        row["cpu"] = middle(sum(one["cpu"] for one in run) for run, _ in runs)
        row["build"] = middle(one["build"] for run, _ in runs for one in run)
        rows.append(row)
    return rows


def plot(found):
    """The eager mode's figures, as SVG."""
    rows = [
        {
            "peer": row["peer"],
            "jobs": row["processes"],
            "seconds": row["median"],
            "gibibytes": max(row["Pss"], 0) / 1024,
        }
        for row in summary(found)
        if row["mode"] == "eager"
    ]
    return svg(rows, "Jobs that start from one checkpoint of 1 GiB")
