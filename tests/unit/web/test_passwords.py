"""Passwords are checked right, and nobody can make their checking take the machine's time."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import bcrypt
import pytest
import pytest_asyncio

from gpuglass.web import passwords
from gpuglass.web.passwords import Passwords, Verdict

RIGHT, WRONG, BUSY = Verdict.RIGHT, Verdict.WRONG, Verdict.BUSY


def hashed(password: bytes) -> bytes:
    return bcrypt.hashpw(password, bcrypt.gensalt(4))


USERS = {b"ada": hashed(b"one"), b"bob": hashed(b"two"), b"eve": hashed(b"x" * 72)}


class Slow:
    """Stands in for bcrypt: notes what it is asked, and ends when it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, bytes]] = []
        self.at_once = self.most_at_once = 0
        self.go = threading.Event()
        self._lock = threading.Lock()

    def check(self, password: bytes, hash: bytes) -> bool:
        with self._lock:
            self.asked.append((password, hash))
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        assert self.go.wait(30)
        with self._lock:
            self.at_once -= 1
        return password == b"one" and hash == USERS[b"ada"]


@pytest_asyncio.fixture
async def checker() -> AsyncIterator[Passwords]:
    made = Passwords()
    made.set_users(USERS)
    yield made
    await made.close()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    slow = Slow()
    monkeypatch.setattr(passwords, "_fits", slow.check)
    monkeypatch.setattr(passwords, "_REST", 0.0)
    return slow


@pytest.mark.parametrize(
    ("name", "password", "verdict"),
    [
        (b"ada", b"one", RIGHT),
        (b"bob", b"two", RIGHT),
        (b"ada", b"two", WRONG),
        (b"ADA", b"one", WRONG),
        (b"ada", b"", WRONG),
        (b"ada", b"one\0", WRONG),
        (b"", b"one", WRONG),
        (b"nobody", b"one", WRONG),
        # bcrypt itself looks no further than this.
        (b"eve", b"x" * 100, RIGHT),
        (b"eve", b"x" * 71, WRONG),
    ],
)
async def test_who_may_come_in(
    checker: Passwords, name: bytes, password: bytes, verdict: Verdict
) -> None:
    for _ in range(2):  # the second time it is known
        assert await checker.check(name, password, "10.0.0.1") is verdict


async def test_names_that_nobody_has_never_fit_and_look_the_same(
    checker: Passwords, slow: Slow
) -> None:
    slow.go.set()
    for number in range(50):
        name = f"nobody{number}".encode()
        assert await checker.check(name, b"one", "10.0.0.1") is WRONG
    hashes = {hash for _, hash in slow.asked}
    assert len(slow.asked) == 50
    assert hashes == set(USERS.values())  # one of theirs is checked, so that it takes as long


async def test_what_is_known_needs_no_bcrypt(checker: Passwords, slow: Slow) -> None:
    slow.go.set()
    for _ in range(5):
        assert await checker.check(b"ada", b"one", "10.0.0.1") is RIGHT
        assert await checker.check(b"ada", b"guess", "10.0.0.1") is WRONG
    assert len(slow.asked) == 2


async def test_new_users_make_what_was_known_void(checker: Passwords) -> None:
    assert await checker.check(b"ada", b"one", "10.0.0.1") is RIGHT
    checker.set_users({b"ada": hashed(b"another")})
    assert await checker.check(b"ada", b"one", "10.0.0.1") is WRONG
    assert await checker.check(b"ada", b"another", "10.0.0.1") is RIGHT
    # The same password, kept as another hash, is checked anew.
    checker.set_users(USERS)
    assert await checker.check(b"ada", b"one", "10.0.0.1") is RIGHT


async def test_guesses_wait_in_a_short_line_while_those_who_are_known_go_on(
    checker: Passwords, slow: Slow
) -> None:
    slow.go.set()
    assert await checker.check(b"ada", b"one", "10.0.0.1") is RIGHT
    slow.go.clear()

    async def guess(number: int) -> Verdict:
        return await checker.check(b"ada", f"{number}".encode(), f"10.1.{number // 200}.{number}")

    guesses = [asyncio.create_task(guess(number)) for number in range(200)]
    busy = [task for task in (await asyncio.wait(guesses, timeout=1))[0] if task.result() is BUSY]
    assert len(busy) == 200 - 16
    for _ in range(100):
        assert await checker.check(b"ada", b"one", "10.0.0.1") is RIGHT
    slow.go.set()
    verdicts = await asyncio.gather(*guesses)
    assert verdicts.count(WRONG) == 16
    assert slow.most_at_once == 1


async def test_many_guessers_cannot_keep_out_who_has_not_guessed(
    checker: Passwords, slow: Slow
) -> None:
    """As after a restart, when nobody is known yet."""
    guessers = [f"10.1.0.{number}" for number in range(40)]
    slow.go.set()
    for client in guessers:
        assert await checker.check(b"ada", b"guess " + client.encode(), client) is WRONG
    slow.go.clear()
    guesses = [
        asyncio.create_task(checker.check(b"ada", f"{n} {client}".encode(), client))
        for client in guessers
        for n in range(2)
    ]
    await asyncio.wait(guesses, timeout=0.5)
    asked = len(slow.asked)
    scrape = asyncio.create_task(checker.check(b"ada", b"one", "192.0.2.7"))
    await asyncio.sleep(0)
    slow.go.set()
    assert await scrape is RIGHT
    # The one that was being checked already came before it, and none other did.
    assert [password for password, _ in slow.asked[asked:]][:1] == [b"one"]
    verdicts = await asyncio.gather(*guesses)
    assert verdicts.count(WRONG) == 15
    assert verdicts.count(BUSY) == len(guesses) - 15


async def test_who_is_right_is_no_guesser_any_more(checker: Passwords, slow: Slow) -> None:
    slow.go.set()
    assert await checker.check(b"ada", b"oen", "192.0.2.7") is WRONG
    assert await checker.check(b"ada", b"one", "192.0.2.7") is RIGHT
    assert not checker._guessers


@pytest.mark.parametrize(
    "client", [lambda n: "10.0.0.1", lambda n: f"2001:db8::{n:x}", lambda n: "unknown"]
)
async def test_one_client_takes_few_places(
    checker: Passwords, slow: Slow, client: Callable[[int], str]
) -> None:
    guesses = [
        asyncio.create_task(checker.check(b"ada", f"{n}".encode(), client(n))) for n in range(10)
    ]
    done = (await asyncio.wait(guesses, timeout=1))[0]
    assert len(done) == 8
    another = asyncio.create_task(checker.check(b"ada", b"one", "192.0.2.7"))
    slow.go.set()
    assert await another is RIGHT
    await asyncio.gather(*guesses)


async def test_the_same_question_is_asked_once_and_outlives_who_asked(
    checker: Passwords, slow: Slow
) -> None:
    first = asyncio.create_task(checker.check(b"ada", b"one", "10.0.0.1"))
    others = [asyncio.create_task(checker.check(b"ada", b"one", "10.0.0.1")) for _ in range(20)]
    await asyncio.sleep(0.05)
    first.cancel()
    slow.go.set()
    assert await asyncio.gather(*others) == [RIGHT] * 20
    assert len(slow.asked) == 1


async def test_it_rests_after_a_wrong_one(
    checker: Passwords, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []
    sleep: Any = asyncio.sleep

    async def noted(seconds: float) -> None:
        rests.append(seconds)
        await sleep(0)

    monkeypatch.setattr(passwords, "_REST", 4.0)
    monkeypatch.setattr("gpuglass.web.passwords.asyncio.sleep", noted)
    slow.go.set()
    assert await checker.check(b"ada", b"one", "10.0.0.1") is RIGHT
    assert await checker.check(b"ada", b"two", "10.0.0.1") is WRONG
    assert await checker.check(b"ada", b"three", "10.0.0.2") is WRONG
    await sleep(0)
    assert len(rests) == 2
    assert all(rest > 0 for rest in rests)


async def test_guesses_do_not_fill_the_memory_or_push_out_what_is_right(
    checker: Passwords, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "_MOST_KNOWN", 10)
    slow.go.set()
    assert await checker.check(b"ada", b"one", "10.0.0.1") is RIGHT
    for number in range(50):
        assert await checker.check(b"ada", f"{number}".encode(), "10.0.0.1") is WRONG
    asked = len(slow.asked)
    assert await checker.check(b"ada", b"one", "10.0.0.1") is RIGHT
    assert len(slow.asked) == asked
    assert len(checker._wrong) == 10


async def test_who_is_renamed_comes_in_by_the_new_name_only(checker: Passwords) -> None:
    checker.set_users({b"ada": USERS[b"ada"]})
    assert await checker.check(b"ada", b"one", "192.0.2.1") is RIGHT
    checker.set_users({b"lovelace": USERS[b"ada"]})
    assert await checker.check(b"ada", b"one", "192.0.2.1") is WRONG
    assert await checker.check(b"lovelace", b"one", "192.0.2.1") is RIGHT
