"""Plots as SVG, by hand: lines over one logarithmic axis or two, readable on light and dark pages."""

import math

WIDTH, HEIGHT = 460, 300
LEFT, RIGHT, TOP, BOTTOM = 62, 96, 34, 44
COLOURS = ("#2f6fb0", "#c4582b", "#4a8c3a", "#8a5aa8")
TEXT, GRID = "#777", "#9995"


def bounds(values, base):
    """The powers of the base around all values."""
    low = math.floor(math.log(min(values), base) + 1e-9)
    high = math.ceil(math.log(max(values), base) - 1e-9)
    return low, max(high, low + 1)


def plain_ticks(largest):
    """From zero, in steps that people count in, four or five of them."""
    step = 10 ** math.floor(math.log10(largest / 4))
    step *= next(factor for factor in (1, 2, 2.5, 5, 10) if factor * step * 5 >= largest)
    return [step * index for index in range(math.ceil(largest / step) + 1)]


def label(value):
    if value >= 1e6:
        return f"{value / 1e6:g}M"
    if value >= 1e3:
        return f"{value / 1e3:g}k"
    return f"{value:g}"


class Panel:
    """One plot: titled, a line for each named series of (x, y); x logarithmic, y too or from zero."""

    def __init__(self, title, x_name, y_name, series, ticks=None, linear=False):
        self.title, self.x_name, self.y_name, self.series = title, x_name, y_name, series
        points = [point for line in series.values() for point in line]
        xs, ys = [x for x, _ in points], [y for _, y in points]
        self.ticks = ticks or [10 ** power for power in range(*plus_one(bounds(xs, 10)))]
        self.x_low, self.x_high = math.log(min(xs)), math.log(max(xs))
        self.linear = linear
        self.y_ticks = plain_ticks(max(ys)) if linear else [10.0 ** power for power in range(*plus_one(bounds(ys, 10)))]

    def x(self, value):
        return LEFT + (math.log(value) - self.x_low) / (self.x_high - self.x_low) * (WIDTH - LEFT - RIGHT)

    def y(self, value):
        scale = (lambda y: y) if self.linear else math.log10
        low, high = scale(self.y_ticks[0]), scale(self.y_ticks[-1])
        share = (scale(value) - low) / (high - low)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def svg(self):
        out = [text(LEFT, 18, self.title, size=13, weight="bold")]
        for tick in self.y_ticks:
            y = self.y(tick)
            out.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{GRID}"/>')
            out.append(text(LEFT - 6, y + 4, label(tick), anchor="end"))
        for tick in self.ticks:
            x = self.x(tick)
            out.append(f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="{GRID}"/>')
            out.append(text(x, HEIGHT - BOTTOM + 16, label(tick), anchor="middle"))
        out.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, self.x_name, anchor="middle"))
        out.append(text(LEFT - 6, TOP - 6, self.y_name, anchor="end"))
        ends = []
        for colour, (name, points) in zip(COLOURS, self.series.items()):
            path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
            out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
            out += [f'<circle cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="3" fill="{colour}"/>' for x, y in points]
            ends.append([self.y(points[-1][1]) + 4, name, colour])
        # Names stand at the ends of their lines; where those meet, one below the other.
        ends.sort()
        for above, below in zip(ends, ends[1:]):
            below[0] = max(below[0], above[0] + 13)
        out += [text(WIDTH - RIGHT + 8, y, name, colour=colour) for y, name, colour in ends]
        return "\n".join(out)


def plus_one(bound):
    return bound[0], bound[1] + 1


def text(x, y, words, size=11, anchor="start", colour=TEXT, weight="normal"):
    style = f'font-size="{size}" text-anchor="{anchor}" fill="{colour}" font-weight="{weight}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{words}</text>'


def figure(panels, columns=2):
    """All panels as one SVG document."""
    rows = -(-len(panels) // columns)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {columns * WIDTH} {rows * HEIGHT}" '
        f'width="{columns * WIDTH}" height="{rows * HEIGHT}" font-family="sans-serif">'
    ]
    for index, panel in enumerate(panels):
        x, y = index % columns * WIDTH, index // columns * HEIGHT
        out.append(f'<g transform="translate({x} {y})">\n{panel.svg()}\n</g>')
    return "\n".join([*out, "</svg>", ""])
