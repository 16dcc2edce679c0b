"""The plot of the documentation's page, as SVG: time and memory by the number of jobs."""

WIDTH, HEIGHT = 760, 340
PANEL, LEFT, TOP, BOTTOM = 310, 64, 64, 280
COLORS = {"tensorflow": "#e8710a", "warmstart": "#1a73e8"}
LABELS = {"tensorflow": "TensorFlow", "warmstart": "TensorFlow with Warmstart"}


def svg(rows, title):
    """The plot of rows with peer, jobs, seconds and gibibytes."""
    font = 'font-family="system-ui, sans-serif" font-size="13" fill="#202124"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {font}>',
        f"<title>{title}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
    ]
    for at, (peer, label) in enumerate(LABELS.items()):
        x = LEFT + 130 * at
        parts.append(f'<rect x="{x}" y="14" width="12" height="12" fill="{COLORS[peer]}"/>')
        parts.append(f'<text x="{x + 18}" y="25">{label}</text>')
    parts += panel(rows, "seconds", "Seconds until every weight was read", LEFT)
    parts += panel(rows, "gibibytes", "GiB beyond import tensorflow", LEFT + WIDTH // 2)
    return "\n".join([*parts, "</svg>", ""])


def panel(rows, value, heading, left):
    jobs = sorted({row["jobs"] for row in rows})
    top = max(row[value] for row in rows)
    step = tick(top)
    highest = step * -(-top // step)
    width, slot = PANEL - 20, (PANEL - 20) / len(jobs)

    def height(number):
        return (BOTTOM - TOP) * number / highest

    yield f'<text x="{left}" y="{TOP - 14}" font-weight="600">{heading}</text>'
    for n in range(int(highest / step) + 1):
        y = BOTTOM - height(n * step)
        yield f'<path d="M{left} {y:.1f}h{width}" stroke="#dadce0"/>'
        yield f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{n * step:g}</text>'
    for at, count in enumerate(jobs):
        middle = left + slot * (at + 0.5)
        yield (
            f'<text x="{middle:.1f}" y="{BOTTOM + 20}" text-anchor="middle">'
            f"{count} {'job' if count == 1 else 'jobs'}</text>"
        )
        for row in rows:
            if row["jobs"] == count:
                x = middle + (-29 if row["peer"] == "tensorflow" else 1)
                y = BOTTOM - height(row[value])
                color = COLORS[row["peer"]]
                yield (
                    f'<rect x="{x:.1f}" y="{y:.1f}" width="28" '
                    f'height="{BOTTOM - y:.1f}" fill="{color}"/>'
                )
                yield (
                    f'<text x="{x + 14:.1f}" y="{y - 4:.1f}" text-anchor="middle" '
                    f'font-size="11">{shown(row[value])}</text>'
                )


def shown(number):
    return f"{number:.0f}" if number >= 10 else f"{number:.1f}" if number >= 1 else f"{number:.2f}"


def tick(top):
    """A round distance between grid lines that makes four to eight of them."""
    for step in (step * 10.0**power for power in range(-3, 6) for step in (1, 2, 5)):
        if top / step <= 8:
            return step
    raise ValueError(f"{top} is too large to plot")
