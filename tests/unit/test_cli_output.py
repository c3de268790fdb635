"""Documents on standard output."""

import json
import sys
from collections.abc import Callable

import pytest

from audisp_pyaudit.cli.output import Output, chosen, until_closed
from audisp_pyaudit.framing import FrameList
from audisp_pyaudit.packing import unpack

Make = Callable[..., FrameList]


@pytest.mark.parametrize("single", [True, False])
def test_every_format(frames: Make, capfdbinary: pytest.CaptureFixture[bytes], *, single: bool) -> None:
    """Whole batches and single documents come out the same, in each format."""
    batch = frames("a")
    document = json.loads(batch[0].json or b"")
    for form, read in (("json", json.loads), ("msgpack", unpack)):
        output = Output(form, "")
        if single:
            output.document(document)
        else:
            output.frames(batch)
        output.flush()
        assert read(capfdbinary.readouterr().out) == document
    output = Output("text", "")
    if single:
        output.document(document)
    else:
        output.frames(batch)
    output.flush()
    assert capfdbinary.readouterr().out == b"[]\n"


def test_json_is_one_line_of_text(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Letters of all languages stay readable; line ends inside values do not break lines."""
    output = Output("json", "")
    output.document({"a": "é\n"})
    output.flush()
    assert capfdbinary.readouterr().out == '{"a":"é\\n"}\n'.encode()


def test_lone_surrogates_do_not_crash_text(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """A document with broken text is shown."""
    output = Output("text", "")
    output.document({"event": {"action": "\ud800"}})
    output.flush()
    assert b"\\ud800" in capfdbinary.readouterr().out


def test_the_default_depends_on_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person gets text, a program JSON, and who asks gets what was asked for."""
    for terminal, expected in ((True, "text"), (False, "json")):
        monkeypatch.setattr(sys.stdout, "isatty", lambda answer=terminal: answer)
        assert chosen(None) == expected
        assert chosen("msgpack") == "msgpack"
    assert Output("text", "").encoding == "json"
    assert Output("msgpack", "").encoding == "msgpack"


def test_interruption_is_quiet() -> None:
    """^C ends with the code shells expect, without a traceback."""
    with pytest.raises(SystemExit) as caught, until_closed():
        raise KeyboardInterrupt
    assert caught.value.code == 130
