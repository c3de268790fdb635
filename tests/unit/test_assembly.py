"""Building the pipeline: what cannot be had is done without."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from audisp_pyaudit import assembly, config, config_file, last_good
from audisp_pyaudit.delivery.held import HOLD
from audisp_pyaudit.intake import Intake
from audisp_pyaudit.metrics_settings import Metrics
from audisp_pyaudit.plugin import Arguments
from audisp_pyaudit.signals import WakeUp
from audisp_pyaudit.sink_settings import UnixSettings
from audisp_pyaudit.sinks.file import FileSink
from audisp_pyaudit.sinks.forward import ForwardSink
from audisp_pyaudit.sinks.stdout import StdoutSink
from audisp_pyaudit.sinks.unix import UnixSink
from audisp_pyaudit.state import StateLock


@pytest.fixture
def intake() -> Iterator[Intake]:
    """An intake that has ended."""
    reader, writer = os.pipe()
    os.close(writer)
    wake = WakeUp()
    intake = Intake(reader, wake)
    intake.run()
    yield intake
    wake.close()
    os.close(reader)


@pytest.fixture
def defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The default socket, state and status in a folder of the test's own; no configuration in /etc."""
    monkeypatch.setattr(config_file, "CONFIG_PATH", str(tmp_path / "none.toml"))
    sinks = {"events": UnixSettings(path=str(tmp_path / "events.sock"))}
    monkeypatch.setattr(config, "DEFAULT_SINKS", sinks)
    monkeypatch.setattr(last_good, "DEFAULT_SINKS", sinks)
    for cls, key, path in (
        (config.State, "path", "engine.state"),
        (config.Queue, "path", "spool"),
        (Metrics, "status", "status.json"),
    ):
        monkeypatch.setattr(cls, "__init__", _with(cls, key, str(tmp_path / path)))
    return tmp_path


def _with(cls: Any, key: str, path: str) -> Callable[..., None]:  # noqa: ANN401  # a class of settings
    real = cls.__init__

    def init(self: Any, **more: Any) -> None:  # noqa: ANN401  # settings
        real(self, **{key: path, **more})

    return init


def built(intake: Intake, fake_engine: Any, *words: str) -> Any:  # noqa: ANN401  # a stand-in
    """The pipeline of a configuration file, or of none."""
    arguments = Arguments(words[0] if words else None)
    return assembly.build(arguments, intake, start_ms=1, raw=fake_engine)


def test_every_kind_of_sink(intake: Intake, fake_engine: Any, tmp_path: Path) -> None:  # noqa: ANN401  # a stand-in
    """Each sink of the configuration is there, in the order of its route bits."""
    file = tmp_path / "a.toml"
    file.write_text(
        f"""
[state]
path = ""
[limits]
intake_bytes = 2000000
[metrics]
status = ""
[sinks.one]
type = "stdout"
[sinks.two]
type = "file"
path = "{tmp_path}/x"
[sinks.three]
type = "unix"
path = "{tmp_path}/s"
[sinks.four]
type = "forward"
address = "unix://{tmp_path}/nobody"
[queue]
path = "{tmp_path}/spool"
"""
    )
    pipeline, running, _ = built(intake, fake_engine, str(file))
    assert [type(sink) for sink in running.outlets.sinks] == [StdoutSink, FileSink, UnixSink, ForwardSink]
    assert intake.limit == 2_000_000
    assert running.config.source == str(file)
    pipeline.finish(name_wait=0, drain=0)


def test_what_is_told_of_it(
    intake: Intake,
    fake_engine: Any,  # noqa: ANN401  # a stand-in
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Status, metrics and the kernel's counters are those that the configuration asks for."""

    class Kernel:
        trouble = "a stand-in: the kernel was not asked"

        def start(self) -> None: ...

        def errand(self, what: Any, seconds: float) -> None: ...  # noqa: ANN401

        def go(self) -> None: ...

        def latest(self) -> None: ...

    monkeypatch.setattr(assembly, "KernelAudit", Kernel)
    file = tmp_path / "a.toml"
    file.write_text(
        f"""
[host]
name = "web-1"
[state]
path = ""
[metrics]
status = "{tmp_path}/status.json"
textfile = "{tmp_path}/a.prom"
kernel = true
[sinks.out]
type = "file"
path = "{tmp_path}/x"
"""
    )
    pipeline = built(intake, fake_engine, str(file))[0]
    pipeline.run()
    deadline = time.monotonic() + 20
    while not (tmp_path / "a.prom").exists():
        assert time.monotonic() < deadline, "no metrics"
        time.sleep(0.01)
    pipeline.finish(name_wait=0, drain=0)
    status = json.loads((tmp_path / "status.json").read_bytes())
    assert (status["host"], status["config"]["file"], status["started"]) == ("web-1", str(file), 0.001)
    assert status["sinks"]["out"]["type"] == "file"
    assert status["kernel_trouble"] == Kernel.trouble
    assert not status["running"]


def test_a_wrong_configuration_does_not_stop_it(
    intake: Intake,
    fake_engine: Any,  # noqa: ANN401  # a stand-in
    defaults: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With mistakes in the file the plugin runs with the defaults, holds what comes, and says each mistake."""
    file = defaults / "wrong.toml"
    file.write_text("[limits]\nevnts = 3\n[timing]\ngrace_ms = 'x'\n")
    pipeline, running, _ = built(intake, fake_engine, str(file))
    assert list(running.config.sinks) == ["events", HOLD]
    assert (defaults / "events.sock").is_socket()
    told = capsys.readouterr().err
    assert "limits.evnts: unknown key" in told
    assert "timing.grace_ms: expected" in told
    pipeline.finish(name_wait=0, drain=0)


def test_a_bug_in_reading_the_configuration_does_not_stop_it(
    intake: Intake,
    fake_engine: Any,  # noqa: ANN401  # a stand-in
    defaults: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever goes wrong with the configuration, the plugin runs: auditd would give up on it after a few starts."""
    monkeypatch.setattr(last_good, "load", lambda _file: 1 // 0)
    pipeline, running, _ = built(intake, fake_engine, "a.toml")
    assert list(running.config.sinks) == ["events", HOLD]
    assert (defaults / "events.sock").is_socket()
    assert "a.toml: cannot be understood" in capsys.readouterr().err
    pipeline.finish(name_wait=0, drain=0)


@pytest.mark.usefixtures("defaults")
def test_state_of_another_plugin(
    intake: Intake,
    fake_engine: Any,  # noqa: ANN401  # a stand-in
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Two plugins with one state file do not publish the same held events, nor overwrite each other's memory."""
    other = StateLock(str(tmp_path / "engine.state"))
    assert other.take()
    (tmp_path / "engine.state").write_bytes(b'["held by the other"]')
    pipeline = built(intake, fake_engine)[0]
    assert pipeline.finish(name_wait=0, drain=0).frames == 0
    assert (tmp_path / "engine.state").read_bytes() == b'["held by the other"]'
    assert "another process has the state" in capsys.readouterr().err
    other.release()
    pipeline = built(intake, fake_engine)[0]
    assert pipeline.finish(name_wait=0, drain=0).frames == 1
    assert (tmp_path / "engine.state").read_bytes() == b"[]"


def test_options_that_only_the_engine_refuses(
    intake: Intake,
    fake_engine: Any,  # noqa: ANN401  # a stand-in
    defaults: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Should the engine be stricter than the configuration, the defaults are in force."""
    file = defaults / "a.toml"
    file.write_text("[decode]\ninclude_raw = 'always'\n")

    def strict(options: dict[str, object], state: bytes | None) -> Any:  # noqa: ANN401  # a stand-in
        if options["include_raw"] == "always":
            raise ValueError("not always")
        return fake_engine(options, state)

    pipeline, running, _ = built(intake, strict, str(file))
    assert running.config.decode.include_raw == "unparsed"
    assert "not always" in capsys.readouterr().err
    pipeline.finish(name_wait=0, drain=0)


@pytest.mark.usefixtures("defaults")
def test_state_of_no_use(
    intake: Intake,
    fake_engine: Any,  # noqa: ANN401  # a stand-in
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A damaged state is a warning, and a fresh start."""
    (tmp_path / "engine.state").write_bytes(b"bad")
    built(intake, fake_engine)[0].finish(name_wait=0, drain=0)
    assert "state is of no use" in capsys.readouterr().err
    (tmp_path / "engine.state").unlink()
    (tmp_path / "engine.state").mkdir()
    built(intake, fake_engine)[0].finish(name_wait=0, drain=0)
    assert "state not read" in capsys.readouterr().err
