"""Flame graphs: as wide as their samples, one on top of the other, and safe to show."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from bench.flame_graph import WIDTH, flame_graph

SVG = "{http://www.w3.org/2000/svg}"


def frames(picture: str) -> dict[str, tuple[float, float, float]]:
    """Left edge, width and height above the ground of each frame, by what it says of itself."""
    found = {}
    for group in ElementTree.fromstring(picture).iter(f"{SVG}g"):
        y = float(group.attrib["transform"].removeprefix("translate(0 ").removesuffix(")"))
        for rect in group.iter(f"{SVG}rect"):
            title = rect.findtext(f"{SVG}title")
            assert title is not None
            found[title] = (float(rect.attrib["x"]), float(rect.attrib["width"]), -y)
    return found


def test_functions_stand_on_their_callers_as_wide_as_their_samples() -> None:
    found = frames(flame_graph("main;b 1\nmain;a 2\nmain;a;c 1"))
    assert found.keys() == {"main: 100.0%", "a: 75.0%", "b: 25.0%", "c: 25.0%"}
    assert found["a: 75.0%"][:2] == (0, pytest.approx(WIDTH * 0.75, abs=1))
    assert found["b: 25.0%"][:2] == (WIDTH * 0.75, pytest.approx(WIDTH * 0.25, abs=1))
    assert found["main: 100.0%"][2] < found["a: 75.0%"][2] == found["b: 25.0%"][2] < found["c: 25.0%"][2]


def test_names_are_escaped_and_what_cannot_be_seen_is_left_out() -> None:
    picture = flame_graph("<lambda>;&x 9999\nrare 1")
    assert frames(picture).keys() == {"<lambda>: 100.0%", "&x: 100.0%"}


def test_a_line_without_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        flame_graph("main;a")
