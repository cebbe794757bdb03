"""Draws stacks as a flame graph (Gregg, 2016): functions as wide as their share of samples, each on its caller."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from zlib import crc32

WIDTH, HEIGHT = 1_200, 16  # pixels, of all and of a frame
LETTER = 6.2  # pixels of a letter at 11 px; less lets names run out of their frames
LEAST = 0.002  # share of all below which a frame is left out: it could not be seen


@dataclass
class Frame:
    """A function, in one place of the tree of calls."""

    samples: int = 0
    callees: dict[str, Frame] = field(default_factory=dict)

    def add(self, stack: list[str], samples: int) -> None:
        """Count ``samples`` in which the functions of ``stack``, outermost first, had called each other."""
        self.samples += samples
        if stack:
            self.callees.setdefault(stack[0], Frame()).add(stack[1:], samples)


def flame_graph(stacks: str) -> str:
    """Draw ``stacks`` as SVG: a line each, functions joined by semicolons, outermost first, and how many samples.

    Raises ValueError where a line is not of that form.

    Examples
    --------
    >>> picture = flame_graph("main;read 3" + chr(10) + "main;write 1")
    >>> "<title>read: 75.0%</title>" in picture
    True
    """
    root = Frame()
    for line in stacks.splitlines():
        stack, _, samples = line.rpartition(" ")
        root.add(stack.split(";"), int(samples))
    rects: list[tuple[int, str]] = []
    _draw(root, 0.0, 0, root.samples, rects)
    height = HEIGHT * (2 + max((depth for depth, _ in rects), default=0))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="monospace" font-size="11">'
    )
    body = "".join(
        f'<g transform="translate(0 {height - HEIGHT * (depth + 1)})">{r}</g>\n' for depth, r in rects
    )
    return f"{head}\n{body}</svg>\n"


def _draw(frame: Frame, x: float, depth: int, total: int, rects: list[tuple[int, str]]) -> None:
    """Append the callees of ``frame``, which begins at ``x``, and theirs, with their depth."""
    for name, callee in sorted(frame.callees.items()):
        width = WIDTH * callee.samples / total
        if callee.samples >= LEAST * total:
            rects.append((depth, _rect(name, x, width, callee.samples / total)))
            _draw(callee, x, depth + 1, total, rects)
        x += width


def _rect(name: str, x: float, width: float, share: float) -> str:
    letters = int((width - 4) / LETTER)
    shown = name if len(name) <= letters else name[: letters - 1] + "…" if letters > 3 else ""
    colour = f"hsl({20 + crc32(name.encode()) % 40},85%,{60 + crc32(name.encode()) % 16}%)"
    text = f'<text x="{x + 2:.1f}" y="12">{escape(shown)}</text>' if shown else ""
    return (
        f'<rect x="{x:.1f}" width="{max(width - 0.5, 0.1):.1f}" height="{HEIGHT - 1}" fill="{colour}">'
        f"<title>{escape(name)}: {share:.1%}</title></rect>{text}"
    )
