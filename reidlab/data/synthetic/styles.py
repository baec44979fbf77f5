"""How the cameras of each world render colors: the character of lens, sensor and compression."""

from typing import NamedTuple

from reidlab.data.synthetic.palette import RGB


class Style(NamedTuple):
    """One camera's character at full strength; see `scene.Camera` for the meaning of each number.

    Attributes:
        balance: gains of red, green, blue.
        gain, gamma, saturation, contrast, haze: tone.
        blur, motion: in pixels of a 128-row image.
        noise: standard deviation, of 1.
        quality: of the JPEG files, 1 to 95.
    """

    balance: RGB
    gain: float
    gamma: float
    saturation: float
    contrast: float
    haze: float
    blur: float
    motion: float
    noise: float
    quality: int


STYLES: dict[str, tuple[Style, ...]] = {
    "town": (
        Style((1.10, 1.00, 0.84), 1.04, 0.95, 1.05, 1.05, 0.00, 0.45, 0.8, 0.012, 90),
        Style((0.84, 1.02, 1.06), 0.88, 1.10, 0.85, 0.95, 0.06, 0.80, 1.6, 0.022, 78),
        Style((0.98, 1.00, 1.10), 1.16, 0.85, 0.80, 0.92, 0.10, 0.55, 1.2, 0.016, 85),
        Style((1.16, 0.98, 0.74), 0.90, 1.08, 0.92, 1.00, 0.02, 0.75, 1.8, 0.028, 72),
        Style((0.90, 0.98, 1.16), 0.98, 1.02, 0.74, 0.95, 0.04, 0.60, 1.2, 0.018, 82),
        Style((1.04, 1.06, 0.86), 0.96, 1.12, 1.15, 1.08, 0.00, 0.90, 1.4, 0.020, 75),
        Style((1.02, 0.92, 1.08), 1.06, 0.92, 0.88, 0.98, 0.05, 0.50, 1.2, 0.024, 80),
        Style((0.92, 1.08, 0.94), 0.86, 1.06, 0.95, 1.05, 0.03, 0.85, 1.6, 0.026, 70),
    ),
    # tubes and sodium lamps on cheap sensors: cool or greenish, pale, grainy, coarse JPEG
    "indoors": (
        Style((0.80, 1.00, 1.20), 0.92, 1.06, 0.40, 0.90, 0.05, 0.85, 1.4, 0.052, 58),
        Style((0.86, 1.08, 0.88), 1.06, 0.96, 0.45, 0.90, 0.05, 0.95, 1.8, 0.070, 50),
        Style((0.88, 1.06, 1.06), 1.05, 0.92, 0.35, 0.88, 0.10, 0.75, 1.2, 0.045, 62),
        Style((0.82, 0.98, 1.26), 1.00, 0.98, 0.55, 0.95, 0.04, 0.80, 1.4, 0.050, 60),
        Style((0.82, 1.08, 1.08), 0.98, 1.00, 0.42, 0.92, 0.06, 1.00, 2.0, 0.062, 46),
        Style((0.98, 1.02, 1.04), 0.88, 1.04, 0.28, 0.92, 0.08, 0.90, 1.4, 0.060, 55),
        Style((0.84, 0.98, 1.14), 0.96, 1.00, 0.48, 0.92, 0.06, 0.95, 1.6, 0.055, 52),
        Style((0.90, 1.10, 0.98), 0.94, 1.08, 0.38, 0.96, 0.06, 0.80, 1.4, 0.070, 50),
    ),
    # golden hour, dusk and grey sky on good sensors: strong contrast, veils of haze
    "evening": (
        Style((1.30, 0.98, 0.62), 1.02, 0.96, 1.10, 1.30, 0.12, 0.50, 1.0, 0.014, 88),
        Style((1.22, 0.94, 0.74), 1.10, 0.92, 1.15, 1.18, 0.30, 0.60, 1.2, 0.016, 84),
        Style((1.20, 1.02, 0.66), 0.94, 1.04, 1.05, 1.30, 0.08, 0.55, 1.0, 0.016, 86),
        Style((1.16, 0.86, 0.98), 0.92, 1.02, 0.95, 1.25, 0.26, 0.70, 1.4, 0.024, 80),
        Style((0.98, 0.92, 1.12), 0.84, 1.10, 0.90, 1.30, 0.10, 0.75, 1.8, 0.030, 76),
        Style((1.34, 1.00, 0.68), 1.12, 0.98, 1.05, 1.40, 0.16, 0.50, 1.0, 0.014, 88),
        Style((1.14, 0.96, 0.80), 0.96, 1.04, 0.85, 1.15, 0.34, 0.65, 1.2, 0.020, 82),
        Style((1.20, 0.90, 0.86), 0.90, 1.08, 1.10, 1.32, 0.14, 0.60, 1.4, 0.026, 78),
    ),
}
