"""The report of a soak: each curve as it was, and whether it is flat."""
import html
import time

# What is judged, and its unit. The lag and the queue go up at every fault; they must come down again.
FLAT = {"memory": "MiB", "threads": "", "connections": "sockets", "files": "descriptors"}
EMPTY = {"queue": "MiB", "lag": "records"}
SHOWN = {**FLAT, "parts": "MiB", **EMPTY}
WIDTH, HEIGHT, LEFT = 900, 160, 70


def middle(values):
    return sorted(values)[len(values) // 2]


def verdict(name, points):
    """"flat", or what it did instead. The first quarter is the time in which buffers fill and threads start."""
    settled = [value for at, value in points if at >= points[-1][0] / 4] if points else []
    if len(settled) < 12:
        return "too-short"
    third = len(settled) // 3
    first, last = settled[:third], settled[-third:]
    if name in EMPTY:
        # As low in the end as in the beginning, between faults.
        return "flat" if min(last) <= max(2 * min(first), middle(first)) else "grows"
    return "flat" if middle(last) <= middle(first) * 1.05 + 1 else "grows"


def curve(name, unit, points, faults, end):
    top = max((value for _, value in points), default=0) or 1
    x = lambda at: LEFT + at / end * (WIDTH - LEFT)
    y = lambda value: HEIGHT - 20 - value / top * (HEIGHT - 40)
    line = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in points)
    marks = "".join(
        f'<line x1="{x(at):.1f}" x2="{x(at):.1f}" y1="10" y2="{HEIGHT - 20}" stroke="#c33" stroke-dasharray="2 4"><title>{html.escape(what)}</title></line>'
        for at, what in faults
    )
    return (
        f"<h2>{name}{f', {unit}' if unit else ''}: {verdict(name, points)}</h2>"
        f'<svg width="{WIDTH}" height="{HEIGHT}"><rect x="{LEFT}" y="10" width="{WIDTH - LEFT}" height="{HEIGHT - 30}" fill="#f6f6f6"/>{marks}'
        f'<polyline points="{line}" fill="none" stroke="#036" stroke-width="1.5"/>'
        f'<text x="0" y="22">{top:,.6g}</text><text x="0" y="{HEIGHT - 20}">0</text>'
        f'<text x="{LEFT}" y="{HEIGHT - 4}">0 min</text><text x="{WIDTH - 60}" y="{HEIGHT - 4}">{end / 60:.0f} min</text></svg>'
    )


def write(path, samples, faults, rate, minutes):
    """Writes the page; gives {curve: verdict} of those that are judged."""
    series = {name: [(at, sample[name]) for at, sample in samples] for name in SHOWN}
    end = samples[-1][0] if samples else 1
    body = "".join(curve(name, unit, series[name], faults, end) for name, unit in SHOWN.items())
    done = "".join(f"<li>{at / 60:.1f} min: {html.escape(what)}</li>" for at, what in faults)
    rows = "".join(
        "<tr>" + f"<td>{at:.0f}</td>" + "".join(f"<td>{sample[name]:.6g}</td>" for name in SHOWN) + "</tr>" for at, sample in samples
    )
    heads = "".join(f"<th>{name}</th>" for name in SHOWN)
    with open(path, "w", encoding="utf-8") as file:
        file.write(
            '<!doctype html><meta charset="utf-8"><title>Soak</title><style>body{font:14px sans-serif;margin:2em}h2{font-size:15px}'
            "td,th{text-align:right;padding:0 1em}text{font-size:12px}</style>"
            f"<h1>Soak: {rate} readings a second, {minutes:g} minutes, {time.strftime('%Y-%m-%d')}</h1>"
            f"<p>engine-1, which was left alone; the dashed lines are what was done to others.</p><ul>{done}</ul>{body}"
            f"<h2>Samples</h2><table><tr><th>s</th>{heads}</tr>{rows}</table>"
        )
    return {name: verdict(name, series[name]) for name in [*FLAT, *EMPTY]}
