from __future__ import annotations

from xml.etree import ElementTree as ET

from bench.log_log import log_log

SVG = "{http://www.w3.org/2000/svg}"


def drawn(**series: list[tuple[float, float]]) -> ET.Element:
    return ET.fromstring(log_log("Growth & more", "cells", "ms", series))


def places(picture: ET.Element) -> list[tuple[float, float]]:
    return [(float(each.get("cx", "")), float(each.get("cy", ""))) for each in picture.iter(f"{SVG}circle")]


def texts(picture: ET.Element) -> list[str]:
    return [each.text or "" for each in picture.iter(f"{SVG}text")]


def test_both_scales_are_logarithmic():
    first, second, third = places(drawn(a=[(100, 1), (1_000, 10), (10_000, 1_000)]))
    # one decade each to the right; one and then two upwards
    assert second[0] - first[0] == third[0] - second[0] > 0
    assert first[1] - second[1] > 0
    assert abs((second[1] - third[1]) - 2 * (first[1] - second[1])) < 0.2


def test_points_are_drawn_in_the_order_of_their_sizes():
    xs = [x for x, _ in places(drawn(a=[(1_000, 3), (10, 4), (100, 5)]))]
    assert xs == sorted(xs)


def test_each_line_is_named_and_looks_different():
    picture = drawn(a=[(1, 1), (10, 2)], b=[(1, 2), (10, 3)], c=[(1, 3), (10, 4)])
    lines = [each for each in picture.iter(f"{SVG}polyline") if each.get("class") == "line"]
    assert [each.findtext(f"{SVG}title") for each in lines[::2]] == ["a", "b", "c"]
    assert {"a", "b", "c"} <= set(texts(picture))
    looks = {(each.get("stroke"), each.get("stroke-dasharray")) for each in lines}
    assert len(looks) == 3


def test_scales_are_named_and_numbered_by_decades():
    found = texts(drawn(a=[(100, 0.05), (20_000, 3)]))
    assert {"Growth & more", "cells", "ms", "100", "1,000", "100,000", "0.01", "0.1", "1", "10"} <= set(found)


def test_what_has_no_logarithm_is_left_out():
    picture = drawn(a=[(10, 0), (100, 5), (0, 7)], none=[(10, -1)])
    assert len(places(picture)) == 1
    assert "none" not in texts(picture)


def test_without_points_there_is_no_picture():
    assert log_log("t", "x", "y", {"a": [(0, 0)]}) == ""
    assert log_log("t", "x", "y", {}) == ""
