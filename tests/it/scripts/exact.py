"""Exact arithmetic for the recount: decimals to fixed point, and the doubles nearest to exact results."""
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from math import inf, isqrt, nextafter

UNIT = 10**9  # values are integers of 1e-9
LIMIT = 2**63 - 1


def fixed(text, scale="1", offset="0"):
    """The decimal text times scale plus offset, in units, rounded half to even; None out of range."""
    with localcontext() as context:
        context.prec = 400
        value = (Decimal(text) * Decimal(scale) + Decimal(offset)) * UNIT
        rounded = int(value.to_integral_value(ROUND_HALF_EVEN))
    return rounded if abs(rounded) <= LIMIT else None


def nearest(units):
    """The double nearest to that many units: Python divides integers with correct rounding."""
    return units / UNIT


def mean(total, count):
    return total / (count * UNIT)


def stddev(total, squares, count):
    """The double nearest to the population standard deviation.

    It is sqrt(n*squares - total^2) / (n * UNIT). A candidate from a long integer root is corrected
    by comparing the exact square with the squared midpoints to its neighbours, so no digit is guessed.
    """
    numerator = count * squares - total * total
    square = Fraction(numerator, (count * UNIT) ** 2)
    if square == 0:
        return 0.0
    guess = float(Fraction(isqrt(numerator << 400), count * UNIT << 200))
    while above(square, guess, nextafter(guess, inf)):
        guess = nextafter(guess, inf)
    while below(square, guess, nextafter(guess, 0.0)):
        guess = nextafter(guess, 0.0)
    return guess


def above(square, low, high):
    return square > ((Fraction(low) + Fraction(high)) / 2) ** 2


def below(square, high, low):
    return square < ((Fraction(low) + Fraction(high)) / 2) ** 2


class Aggregate:
    """What one key has of one metric in one window."""

    __slots__ = ("count", "sum", "squares", "min", "max", "alarms", "active", "outliers")

    def __init__(self):
        self.count = self.sum = self.squares = self.alarms = self.active = self.outliers = 0
        self.min = self.max = None

    def add(self, value, alarm=False, active=False, outlier=False):
        self.count += 1
        self.sum += value
        self.squares += value * value
        self.min = value if self.min is None else min(self.min, value)
        self.max = value if self.max is None else max(self.max, value)
        self.alarms += alarm
        self.active += active
        self.outliers += outlier

    def row(self):
        return {
            "count": self.count,
            "mean": mean(self.sum, self.count),
            "min": nearest(self.min),
            "max": nearest(self.max),
            "stddev": stddev(self.sum, self.squares, self.count),
            "alarms": self.alarms,
            "active": self.active,
            "outliers": self.outliers,
        }
