"""What the probe says arrives as it was said, and nothing else is taken for it."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gpuglass.probe import frames
from gpuglass.probe.frames import Column

text = st.text(max_size=30)
seconds = st.floats(allow_nan=False, allow_infinity=False)
number = seconds | st.integers(-(2**63), 2**64)
columns = st.builds(
    Column, text, st.lists(text, max_size=3).map(tuple), st.integers(0, 2**32), text
)
frame = st.one_of(
    st.builds(frames.Driver, text, text, text, st.integers(0, 64)),
    st.builds(
        frames.Device,
        text,
        st.integers(0, 63),
        st.dictionaries(text, text, max_size=4),
        st.dictionaries(text, st.lists(columns, max_size=4)),
        st.lists(st.tuples(text, st.lists(text, max_size=2).map(tuple), text), max_size=4),
        st.dictionaries(text, text, max_size=4),
    ),
    st.builds(
        frames.Reading,
        text,
        seconds,
        seconds,
        st.dictionaries(text, st.lists(st.none() | number), max_size=3),
    ),
    st.builds(
        frames.Processes,
        text,
        st.none()
        | st.lists(st.builds(frames.Process, st.integers(0, 2**32), text, text, text, text)),
    ),
    st.builds(frames.Down, text, st.integers(0, 63), text),
    st.builds(frames.Failure, text, text),
    st.builds(frames.Thread, st.integers(0, 63), st.integers(0, 2**64)),
    st.builds(
        frames.Alive,
        st.lists(st.builds(frames.Waiting, st.integers(-1, 63), text, seconds), max_size=3),
    ),
)


@given(frame)
def test_round_trip(sent: frames.Frame) -> None:
    line = frames.encode(sent)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert frames.decode(line) == sent


@given(st.binary() | st.text().map(str.encode))
@example(b"[" * 100_000)
@example(b'{"kind":"alive"}')
@example(b'{"kind":["alive"]}')
@example(b'{"kind":"nothing"}')
@example(b'["kind"]')
@example(b"")
def test_garbage_is_no_frame(line: bytes) -> None:
    with pytest.raises(ValueError, match="not a frame"):
        frames.decode(line)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)


@given(json_values, json_values, json_values)
def test_a_frame_of_wrong_types_is_refused_or_read(
    columns: object, missing: object, info: object
) -> None:
    fields = {"uuid": "GPU-1", "index": 0, "info": info, "columns": columns, "missing": missing}
    try:
        frames.decode(json.dumps({"kind": "device", **fields}).encode())
    except ValueError as error:
        assert str(error).startswith("not a frame")
