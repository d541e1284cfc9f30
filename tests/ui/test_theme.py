"""The colours: their contrast, for all eyes, and that the path's is nobody else's."""

import re
from pathlib import Path

import pytest

import ui

STATIC = Path(ui.__file__).parent / "static"
THEME = (STATIC / "theme.css").read_text()
PAGE = (STATIC / "page.css").read_text()
TOKENS = {
    name: (light, dark)
    for name, light, dark in re.findall(r"--([a-z0-9-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", THEME)
}
SCHEMES = ("light", "dark")
TEXT_PAIRS = [
    (text, paper) for text in ("ink", "muted", "path", "failing", "burning") for paper in ("paper", "raised", "hover")
] + [("on-path", "path-1"), ("on-path", "path-2"), ("ink", "path-wash"), ("ink", "path-rest")]
GRAPHIC_PAIRS = [
    (shape, "paper") for shape in ("path", "path-1", "path-2", "path-3", "path-4", "edge", "failing", "burning")
]


def color(name: str, scheme: str) -> tuple[float, float, float]:
    text = TOKENS[name][SCHEMES.index(scheme)]
    return tuple(int(text[i : i + 2], 16) / 255 for i in (1, 3, 5))


def luminance(rgb: tuple[float, float, float]) -> float:
    """WCAG 2.2, relative luminance."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: tuple[float, float, float], b: tuple[float, float, float]) -> float:
    light, dark = sorted((luminance(a), luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


DEFICIENCIES = {
    # Machado, Oliveira, Fernandes, IEEE TVCG 2009, severity 1.0; on linear RGB.
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}


def seen_by(rgb: tuple[float, float, float], deficiency: str) -> tuple[float, float, float]:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    mixed = [min(max(sum(w * c for w, c in zip(row, linear, strict=True)), 0), 1) for row in DEFICIENCIES[deficiency]]
    return tuple(12.92 * c if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055 for c in mixed)


def lab(rgb: tuple[float, float, float]) -> tuple[float, float, float]:
    """CIE L*a*b* under D65."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    rows = ((0.4124, 0.3576, 0.1805, 0.95047), (0.2126, 0.7152, 0.0722, 1.0), (0.0193, 0.1192, 0.9505, 1.08883))
    xyz = [sum(w * c for w, c in zip(row[:3], linear, strict=True)) / row[3] for row in rows]
    f = [c ** (1 / 3) if c > 0.008856 else 7.787 * c + 16 / 116 for c in xyz]
    return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])


def difference(a: tuple[float, float, float], b: tuple[float, float, float]) -> float:
    return sum((x - y) ** 2 for x, y in zip(lab(a), lab(b), strict=True)) ** 0.5


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("text", "paper"), TEXT_PAIRS)
def test_text_has_the_contrast_that_aa_asks_for(text, paper, scheme):
    assert contrast(color(text, scheme), color(paper, scheme)) >= 4.5


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("shape", "paper"), GRAPHIC_PAIRS)
def test_shapes_that_carry_a_fact_have_the_contrast_that_aa_asks_for(shape, paper, scheme):
    assert contrast(color(shape, scheme), color(paper, scheme)) >= 3.0


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("deficiency", [None, *DEFICIENCIES])
def test_the_path_stands_out_from_errors_and_from_what_is_off_the_path_for_every_eye(scheme, deficiency):
    def seen(name):
        return color(name, scheme) if deficiency is None else seen_by(color(name, scheme), deficiency)

    for other in ("failing", "burning", "quiet", "quiet-strong", "ink"):
        assert difference(seen("path"), seen(other)) > 20, other


@pytest.mark.parametrize("scheme", SCHEMES)
def test_neighbouring_shades_of_the_path_are_told_apart(scheme):
    for a, b in (("path-1", "path-2"), ("path-2", "path-3"), ("path-3", "path-4"), ("path-4", "path-rest")):
        assert difference(color(a, scheme), color(b, scheme)) > 8


def test_what_is_off_the_path_has_hardly_any_saturation():
    for name in ("quiet", "quiet-strong", "muted", "ink", "edge", "hairline", "hover", "raised", "paper"):
        for scheme in SCHEMES:
            rgb = color(name, scheme)
            assert max(rgb) - min(rgb) < 0.07, (name, scheme)


def test_nothing_but_the_path_takes_its_colour():
    of_the_path = re.compile(
        r"path|own|node-|wire-on|wire-under|frame|hatch|gauge|unknown-on|why\b|mine\b|side\b|forced-colors|Highlight"
    )
    rules = re.findall(r"([^{}]+)\{([^{}]*var\(--(?:on-)?path[^{}]*)\}", THEME.split("}", 1)[1] + PAGE)

    assert len(rules) > 10
    for selector, _ in rules:
        assert of_the_path.search(selector), selector.strip()


def test_every_colour_of_the_page_is_a_token():
    assert re.findall(r"#[0-9a-f]{3,8}\b(?!\))", re.sub(r"url\(#\w+\)", "", PAGE)) == []
    used = set(re.findall(r"var\(--([a-z0-9-]+)\)", THEME + PAGE)) - {"label", "times"}
    assert used <= set(TOKENS)
    assert set(TOKENS) <= used
