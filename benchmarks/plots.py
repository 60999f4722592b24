"""Curves as small SVG files: the same numbers give the same bytes, without scripts and without a date."""

import re
from math import floor, log10
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from benchmarks.curves import Curve

_NOISE: Final = re.compile(r"<!--.*?-->|<desc[^>]*>.*?</desc>", re.DOTALL)


def drawn(curve: "Curve") -> bytes:
    """The curve as SVG, by pygal."""
    import pygal
    from pygal.style import CleanStyle

    chart: Any = pygal.Line(
        logarithmic=True,
        style=CleanStyle(font_family="sans-serif", background="white", plot_background="white"),
        js=(),
        width=760,
        height=420,
        legend_at_bottom=True,
        value_formatter=lambda number: f"{number:,g} {curve.unit}",
        pretty_print=False,
        disable_xml_declaration=True,
        dots_size=3,
    )
    numbers = [number for values in curve.series.values() for number in values if number > 0]
    chart.y_labels = grid(min(numbers), max(numbers))
    chart.uuid = curve.file.partition(".")[0]
    chart.title = curve.title
    chart.x_labels = curve.points
    for name, values in curve.series.items():
        chart.add(name, list(values))
    return (_NOISE.sub("", chart.render()) + "\n").encode()


def grid(least: float, most: float) -> list[float]:
    """Round numbers around the values: 1, 2 and 5 times the powers of ten.

    >>> grid(30, 900)
    [20.0, 50.0, 100.0, 200.0, 500.0, 1000.0]
    """
    steps = [
        factor * 10.0**power for power in range(floor(log10(least)) - 1, floor(log10(most)) + 2) for factor in (1, 2, 5)
    ]
    first = max(i for i, step in enumerate(steps) if step <= least)
    last = min(i for i, step in enumerate(steps) if step >= most)
    return steps[first : last + 1]
