"""What is wrong with a receivers file is told with its line, before Alertmanager is asked."""

import pytest

from gpuglass.keeper.receivers.file import parse

OURS = frozenset({"page", "ticket", "heartbeat"})
PAGE = "- {name: page, webhook_configs: [{url: 'http://h/'}]}"
PROBLEMS: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "1: the file says nothing; write 'receivers: []' for none, or remove it"),
    "comment": ("# later\n", "1: the file says nothing; write 'receivers: []' for none, or"),
    "text": ("page", "1: not a mapping; begin it with 'receivers:'"),
    "list": (f"{PAGE}\n", "1: not a mapping; begin it with 'receivers:'"),
    "yaml": ("receivers: [\n", "2: not valid YAML"),
    "bytes": (b"receivers: \xff", "1: not UTF-8 text (byte 0xff)"),
    "deep": ("receivers: " + "[" * 99, "1: nested too deeply; write it with fewer levels"),
    "key": ("receivers: []\nroute: {}\n", '2: unknown key "route"; did you mean "routes"?'),
    "far key": ("receivers: []\nxyz: {}\n", '2: unknown key "xyz"; there are receivers, routes,'),
    "key twice": ("receivers: []\nreceivers: []\n", '2: "receivers" is also on line 1; keep one'),
    "nothing": ("receivers: []\nglobal:\n", "2: global says nothing; fill it or remove it"),
    "no list": ("receivers: {name: page}", "1: receivers is not a list; begin each of it with"),
    "no mapping": ("receivers: []\nglobal: [a]", "2: global is not a mapping; write 'name: value'"),
    "receiver": ("receivers:\n- page\n", "2: a receiver is not a mapping; begin it with '- name:'"),
    "no name": ("receivers:\n- webhook_configs: []\n", "2: a receiver has no name; begin it with"),
    "null name": ("receivers:\n- name:\n", "2: a receiver has no name; begin it with '- name:'"),
    "reserved": ("receivers:\n- name: nobody\n", "2: nobody is taken: it gets what is told to"),
    "name twice": (
        f"receivers:\n{PAGE}\n{PAGE}\n",
        '3: receiver "page" is also on line 2; keep one',
    ),
    "key of it twice": (
        "receivers:\n- name: page\n  name: page\n  a_configs: [{}]\n",
        '3: "name" is also on line 2; keep one',
    ),
    "nowhere": (
        "receivers:\n- name: page\n",
        '2: receiver "page" has nowhere to send to; give it webhook_configs or the like',
    ),
    "nowhere yet": (
        "receivers:\n- name: page\n  webhook_configs: []\n",
        '2: receiver "page" has nowhere to send to; give it webhook_configs or the like',
    ),
    "misspelt": (
        "receivers:\n- {name: pgae, webhook_configs: [{url: 'http://h/'}]}\n",
        '2: receiver "pgae" would be told nothing; did you mean "page"?',
    ),
    "unrouted": (
        "receivers:\n- {name: x1, webhook_configs: [{url: 'http://h/'}]}\n",
        '2: receiver "x1" would be told nothing; add a route that names it',
    ),
    "route": (f"receivers: [{PAGE[2:]}]\nroutes: [page]", "2: a route is not a mapping; begin it"),
    "unknown receiver": (
        f"receivers: [{PAGE[2:]}]\nroutes:\n- receiver: pager\n",
        '3: there is no receiver "pager"; did you mean "page"?',
    ),
    "unknown receiver within": (
        f"receivers: [{PAGE[2:]}]\nroutes:\n- receiver: page\n  routes:\n  - receiver: xyz\n",
        '5: there is no receiver "xyz"; add it under receivers',
    ),
    "route without receiver": (
        f"receivers: [{PAGE[2:]}]\nroutes:\n- matchers: [a=b]\n",
        "3: a route has no receiver; add 'receiver: NAME' to it",
    ),
}


def problems(content: str | bytes) -> list[str]:
    data = content if isinstance(content, bytes) else content.encode()
    return [str(problem) for problem in parse("f", data, OURS).problems]


@pytest.mark.parametrize("case", PROBLEMS)
def test_mistakes_are_told_with_their_line(case: str) -> None:
    content, expected = PROBLEMS[case]
    found = problems(content)
    assert len(found) == 1, found
    assert found[0].startswith(f"f:{expected}")


def test_all_mistakes_are_told_in_order() -> None:
    found = problems("routes:\n- receiver: x\nreceivers:\n- name: page\nfoo: 1\n")
    assert [line.split(":")[1] for line in found] == ["2", "4", "5"]


def test_a_good_file() -> None:
    text = (
        f"receivers:\n{PAGE}\n- {{name: own, webhook_configs: [{{url: 'http://o/'}}]}}\n"
        "routes:\n- matchers: [a=b]\n  receiver: own\n  routes: [{matchers: [c=d]}]\n"
        "- {matchers: [e=f], receiver: nobody}\n"
        "global: {smtp_from: a@b}\n"
    )
    file = parse("f", text.encode(), OURS)
    assert (file.problems, file.receivers) == ((), {"page": 2, "own": 3})
    assert set(file.sections) == {"receivers", "routes", "global"}


def test_no_receivers_are_fine() -> None:
    assert parse("f", b"receivers: []", OURS).problems == ()
