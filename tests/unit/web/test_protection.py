"""Who may see what without a password: this machine everything, others the metrics."""

from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from gpuglass.web.protection import Protection

PUBLIC = frozenset({"/metrics"})
HASH = "$2b$04$EmFdIc3x3jLk9Fkm1AXEYO1OxFqfUJH9FSBx/O1dOo4nxjFOK9.MK"
PRIVATE = ("/", "/api/v1/snapshot", "/api/v1/stream", "/static/page.js", "/metrics/")


def request(path: str, client: str, host: str = "127.0.0.1:9400") -> web.Request:
    return make_mocked_request("GET", path, headers={"Host": host}).clone(remote=client)


async def status(protection: Protection, *asked: str) -> int:
    refusal = await protection.refusal(request(*asked))
    if refusal is None:
        return 200
    assert refusal.text and len(refusal.text.splitlines()) == 1
    return refusal.status


@pytest.mark.parametrize("client", ["10.0.0.7", "192.0.2.1", "2001:db8::1", "fe80::1%eth0", ""])
async def test_others_see_the_metrics_alone(client: str) -> None:
    protection = Protection(PUBLIC)
    assert await status(protection, "/metrics", client, "gpu01:9400") == 200
    for path in PRIVATE:
        assert await status(protection, path, client, "localhost") == 403


@pytest.mark.parametrize("client", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:9400", "localhost", "localhost:9400", "[::1]:9400", "10.0.0.7:9400", "[::1]"],
)
async def test_this_machine_sees_everything(client: str, host: str) -> None:
    for path in ("/metrics", *PRIVATE):
        assert await status(Protection(PUBLIC), path, client, host) == 200


@pytest.mark.parametrize(
    "host", ["evil.example.org", "evil.example.org:9400", "localhost.evil", ""]
)
async def test_a_name_that_was_made_to_lead_here_does_not(host: str) -> None:
    protection = Protection(PUBLIC)
    assert await status(protection, "/api/v1/snapshot", "127.0.0.1", host) == 403
    assert await status(protection, "/metrics", "127.0.0.1", host) == 200


async def test_who_names_no_host_is_no_browser() -> None:
    asked = make_mocked_request("GET", "/", headers={}).clone(remote="127.0.0.1")
    assert await Protection(PUBLIC).refusal(asked) is None


async def test_a_path_of_ones_own_is_public_and_the_usual_one_is_not() -> None:
    protection = Protection(frozenset({"/m"}))
    assert await status(protection, "/m", "10.0.0.7") == 200
    assert await status(protection, "/metrics", "10.0.0.7") == 403


@pytest.mark.parametrize(
    "text",
    [
        "{}\n",
        "http_server_config: {headers: {X-Frame-Options: deny}}\n",
        "tls_server_config: {cert_file: node.crt, key_file: node.key}\n",
        "basic_auth_users: {}\n",
    ],
)
async def test_a_configuration_that_asks_nobody_who_he_is_opens_nothing(
    folder: Path, text: str
) -> None:
    (folder / "web.yml").write_text(text)
    protection = Protection(PUBLIC, folder / "web.yml")
    assert await status(protection, "/", "10.0.0.7") == 403


async def test_passwords_open_everything_to_those_who_have_one(folder: Path) -> None:
    (folder / "web.yml").write_text(f"basic_auth_users: {{ada: '{HASH}'}}\n")
    protection = Protection(PUBLIC, folder / "web.yml")
    for path in ("/metrics", *PRIVATE):
        for client in ("127.0.0.1", "10.0.0.7"):
            assert await status(protection, path, client) == 401
    await protection.stop()


async def test_client_certificates_open_everything(folder: Path) -> None:
    (folder / "web.yml").write_text(
        "tls_server_config: {cert_file: node.crt, key_file: node.key, client_ca_file: ca.crt,"
        " client_auth_type: RequireAndVerifyClientCert}\n"
    )
    protection = Protection(PUBLIC, folder / "web.yml")
    assert await status(protection, "/", "10.0.0.7", "gpu01:9400") == 200


async def test_a_rate_counts_all_requests_and_fills_up_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("gpuglass.web.protection.time.monotonic", lambda: now)
    (folder / "web.yml").write_text("rate_limit: {interval: 2s, burst: 3}\n")
    protection = Protection(PUBLIC, folder / "web.yml")

    async def statuses(number: int) -> list[int]:
        return [await status(protection, "/metrics", "10.0.0.7") for _ in range(number)]

    assert await statuses(4) == [200, 200, 200, 429]
    now += 1.9
    assert await statuses(1) == [429]
    now += 0.2
    assert await statuses(2) == [200, 429]
    now += 3600
    assert await statuses(4) == [200, 200, 200, 429]
