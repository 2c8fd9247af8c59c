"""A published folder holds what its plan publishes, whatever fails on the way."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from gpuglass.catalogue import keeper as catalogue
from gpuglass.keeper import folder
from gpuglass.keeper.published import FilePlan, Names, PublishedFolder
from gpuglass.text.document import Problem


@dataclass(frozen=True)
class Text:
    """A file that is good unless its text is ``bad``."""

    name: str
    text: str
    problems: tuple[Problem, ...] = ()


class Texts(PublishedFolder[Text, str]):
    """Publishes texts as they are; ``broken`` are the texts that cannot be judged now."""

    name = "texts"
    wanted = staticmethod(folder.with_suffix(".yml"))
    suffix = ".out"
    names = Names(
        catalogue.RULES,
        catalogue.RULES_FILE_VALID,
        catalogue.RULES_FILE_LAST_SUCCESS,
        catalogue.RULES_ERRORS,
    )

    def __init__(self, at: Path) -> None:
        (at / "source").mkdir(exist_ok=True)
        self.source, self.out = at / "source", at / "out"
        self.broken: set[str] = set()
        self.changes = 0
        super().__init__(self.source, self.out, clock=lambda: 1.0)

    def read(self, path: Path) -> Text:
        text = path.read_text()
        if text in self.broken:
            raise OSError(f"{text} cannot be judged")
        problems = (Problem(path.name, 1, "bad"),) if text.startswith("bad") else ()
        return Text(path.name, text, problems)

    def plan(
        self, files: Iterable[Text], last_good: Mapping[str, str]
    ) -> dict[str, FilePlan[Text, str]]:
        return {f.name: FilePlan(f, last_good.get(f.name) if f.problems else f.text) for f in files}

    def render(self, content: str) -> bytes:
        return content.encode()

    def restore(self, path: Path) -> str | Problem:
        file = self.read(path)
        return file.problems[0] if file.problems else file.text

    def size(self, content: str) -> int:
        return len(content)

    def counted(self, content: str) -> str:
        return content

    def changed(self) -> None:
        self.changes += 1

    def write(self, **texts: str) -> None:
        for name, text in texts.items():
            (self.source / f"{name}.yml").write_text(text)
        self.check()
        self.check()

    @property
    def published(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.out.iterdir()}

    @property
    def valid(self) -> dict[str, bool]:
        return {name: state.valid for name, state in self.state.files.items()}


@pytest.fixture
def texts(tmp_path: Path) -> Texts:
    return Texts(tmp_path)


def restarted(texts: Texts, *broken: str) -> Texts:
    again = Texts(texts.source.parent)
    again.broken = set(broken)
    again.start()
    return again


def test_what_is_no_longer_good_is_withdrawn_at_the_start(texts: Texts) -> None:
    texts.start()
    texts.write(a="good")
    (texts.out / "a.yml.out").write_text("bad for this version")
    (texts.source / "a.yml").write_text("bad")
    again = restarted(texts)
    assert again.published == {}
    assert again.changes == 1


def test_what_has_no_source_is_withdrawn_even_if_it_is_bad(texts: Texts) -> None:
    texts.start()
    (texts.out / "gone.yml.out").write_text("bad")
    (texts.out / "others.out").write_text("bad")
    assert restarted(texts).published == {"others.out": "bad"}


def test_what_cannot_be_judged_at_the_start_stays_until_it_can(
    texts: Texts, caplog: pytest.LogCaptureFixture
) -> None:
    texts.start()
    texts.write(a="old", b="same", c="wrong one day", gone="same")
    (texts.source / "gone.yml").unlink()
    (texts.source / "a.yml").write_text("bad")
    again = restarted(texts, "old", "same", "wrong one day")
    expected = {"a.yml.out": "old", "b.yml.out": "same", "c.yml.out": "wrong one day"}
    assert again.published == expected
    assert again.valid == {"a.yml": False}
    assert again.state.errors == 1
    assert "source: old cannot be judged; what was published stays" in caplog.text
    (again.out / "c.yml.out").write_text("bad")
    (again.source / "c.yml").write_text("bad")
    again.broken.clear()
    again.check()
    again.check()
    del expected["c.yml.out"]
    assert again.published == expected
    assert again.valid == {"a.yml": False, "b.yml": True, "c.yml": False}
    assert again.state.files["a.yml"].published == len("old")


def test_one_file_that_cannot_be_judged_stops_no_other(texts: Texts) -> None:
    texts.start()
    texts.write(a="one", b="two")
    texts.broken = {"new one"}
    texts.write(a="new one", b="new two")
    assert texts.published == {"a.yml.out": "one", "b.yml.out": "new two"}
    assert texts.valid == {"a.yml": False, "b.yml": True}
    texts.broken.clear()
    texts.check()
    assert texts.published == {"a.yml.out": "new one", "b.yml.out": "new two"}
    assert texts.valid == {"a.yml": True, "b.yml": True}


def test_what_could_not_be_written_is_not_valid(
    texts: Texts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    texts.start()
    texts.write(a="one", b="two")

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device", str(self))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        texts.write(a="new")
    assert texts.valid == {"a.yml": False, "b.yml": True}
    errors = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert len(errors) == 1
    assert errors[0].startswith("a.yml cannot be published: No space left on device;")
    texts.check()
    assert texts.valid == {"a.yml": True, "b.yml": True}
