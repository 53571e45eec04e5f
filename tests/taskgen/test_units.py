"""Time is exact: milliseconds outside, integer nanoseconds inside."""

import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskgen.errors import InputError
from taskgen.units import MAX_NS, format_ms, ms_from_ns, short, to_ns

law = settings(deadline=None)
nanoseconds = st.integers(0, MAX_NS)


@pytest.mark.parametrize(
    ("value", "ns"),
    [
        (0, 0),
        (-0.0, 0),
        (3, 3_000_000),
        (0.1, 100_000),
        (2.675, 2_675_000),
        (0.0000005, 0),  # half to even
        (0.0000015, 2),
        (0.0000025, 2),
        (1e-300, 0),
        (Decimal("0.000001"), 1),
        (Decimal("1.0" + "0" * 1000), 1_000_000),
        (Decimal("0E-999999"), 0),
        (Fraction(1, 8), 125_000),
        (True + 1, 2_000_000),
    ],
)
def test_known_conversions(value: object, ns: int) -> None:
    assert to_ns(value, "period") == ns


@law
@given(nanoseconds)
def test_a_whole_number_of_nanoseconds_is_kept_in_any_exact_type(ns: int) -> None:
    exact = Fraction(ns, 1_000_000)
    assert to_ns(exact, "period") == ns
    assert to_ns(ms_from_ns(ns), "period") == ns
    assert to_ns(Decimal(format_ms(ns)), "period") == ns


@law
@given(st.floats(0, MAX_NS / 1_000_001))
def test_a_float_means_its_shortest_decimal_rounded_half_even(value: float) -> None:
    # Fraction's round() is half-even and exact: the definition itself.
    assert to_ns(value, "period") == round(Fraction(repr(value)) * 1_000_000)


@law
@given(st.fractions(0, 10**6))
def test_a_fraction_or_decimal_that_is_no_whole_nanosecond_is_refused(value: Fraction) -> None:
    if (value * 1_000_000).denominator == 1:
        assert to_ns(value, "period") == value * 1_000_000
    else:
        with pytest.raises(InputError, match=r"^period: .* is no whole number of nanoseconds$"):
            to_ns(value, "period")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("abc", "period: 'abc' is not a finite number"),
        ("10", "period: '10' is not a finite number"),
        (None, "period: None is not a finite number"),
        (True, "period: True is not a finite number"),
        (math.nan, "period: nan is not a finite number"),
        (math.inf, "period: inf is not a finite number"),
        (Decimal("NaN"), "period: NaN is not a finite number"),
        (Decimal("sNaN"), "period: sNaN is not a finite number"),
        (Decimal("-Infinity"), "period: -Infinity is not a finite number"),
        (1j, "period: 1j is not a finite number"),
        (-1, "period: -1 is negative"),
        (-1e-9, "period: -1e-09 is negative"),
        (Fraction(-1, 2), "period: -1/2 is negative"),
        (Decimal("1E-7"), "period: 1E-7 ms is no whole number of nanoseconds"),
        (Decimal("1E-999999"), "period: 1E-999999 ms is no whole number"),
        (Decimal("1." + "3" * 1000), "ms is no whole number of nanoseconds"),
        (MAX_NS // 1_000_000 + 1, "ms is too long, expected at most 2^62 ns"),
        (1e300, "period: 1e+300 ms is too long"),
        (Decimal("1E+999999"), "period: 1E+999999 ms is out of range, expected at most 2^62 ns"),
        pytest.param(10**5000, "period: a number of more than 4300 digits ms is too long", id="huge"),
        pytest.param(-(10**5000), "period: a number of more than 4300 digits is negative", id="huge negative"),
        pytest.param(
            Fraction(10**5000), "period: a number of more than 4300 digits ms is too long", id="huge fraction"
        ),
    ],
)
def test_what_is_no_time_is_refused_in_one_line_that_names_field_and_value(value: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        to_ns(value, "period")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_the_longest_time_is_accepted_and_one_nanosecond_more_is_not() -> None:
    assert to_ns(Fraction(MAX_NS, 1_000_000), "period") == MAX_NS
    with pytest.raises(InputError, match="too long"):
        to_ns(Fraction(MAX_NS + 1, 1_000_000), "period")


def test_a_subclass_of_float_with_another_repr_is_read_as_the_float() -> None:
    class Measured(float):
        def __repr__(self) -> str:
            return "Measured(...)"

    assert to_ns(Measured(1.5), "period") == 1_500_000


@pytest.mark.parametrize(
    ("ns", "text"),
    [(0, "0.0"), (3_000_000, "3.0"), (333_333, "0.333333"), (-1_500_000, "-1.5"), (1, "0.000001"), (-1, "-0.000001")],
)
def test_known_formats(ns: int, text: str) -> None:
    assert format_ms(ns) == text


@law
@given(st.integers(-MAX_NS, MAX_NS))
def test_formatted_time_reads_back_exactly_with_one_to_six_decimals(ns: int) -> None:
    text = format_ms(ns)
    assert Fraction(text) * 1_000_000 == ns
    assert 1 <= len(text.partition(".")[2]) <= 6
    assert Fraction(ms_from_ns(ns)) * 1_000_000 == ns


def test_messages_show_long_values_shortened() -> None:
    assert short("x" * 1000) == f"'{'x' * 56}..."
    assert short(12) == "12"
