"""The outcome of an attack: figures for people, and faults."""


class Skipped(Exception):
    """The machine cannot do what the attack needs."""


class Outcome:
    """The figures and the faults of one attack."""

    def __init__(self, patience=3):
        """`patience` is the factor by which the victim may be slower than with a quiet daemon."""
        self.figures, self.faults, self.patience = [], [], patience

    def note(self, figure):
        self.figures.append(figure)

    def expect(self, holds, fault):
        if not holds:
            self.faults.append(fault)
        return holds

    def line(self, name, seconds):
        text = "; ".join(self.figures) or "no figures"
        wrong = f"; wrong: {'; '.join(self.faults)}" if self.faults else ""
        word = "FAILED" if self.faults else "ok"
        return f"{word} {name}: {text}{wrong} ({seconds:.1f} s)"


def mebibytes(byte_count):
    return f"{byte_count / (1 << 20):.1f} MiB"


def milliseconds(seconds):
    return f"{seconds * 1000:.1f} ms"
