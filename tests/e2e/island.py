"""A network that ends nowhere: loopback, and a way out on which all that leaves is noted.

As a program it makes the network in the namespaces that it was started in, says so, and notes
what leaves, a line each, until it is ended.
"""

import os
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.e2e.clone import is_root

RESOLVER, BEYOND = "192.0.2.53", "192.0.2.1"
_UNSHARE = ["unshare", "--net", "--mount"]
# Whoever may not make namespaces may often do so as the root of a user namespace.
_AS_ROOT_OF_OWN = ["--user", "--map-root-user"]
_COMMANDS = f"""\
set -e
ip link set lo up
ip link add away type veth peer name beyond
ip link set away arp off up
ip link set beyond arp off up
ip address add 192.0.2.2/24 dev away
ip route add default via {BEYOND} dev away
ip -6 address add 2001:db8::2/64 dev away nodad
ip -6 route add default via 2001:db8::1 dev away
printf "nameserver {RESOLVER}\\noptions timeout:1 attempts:1\\n" >"$1/resolv.conf"
echo hosts: files dns >"$1/nsswitch.conf"
chmod 644 "$1/resolv.conf" "$1/nsswitch.conf"
mount --bind "$1/resolv.conf" "$(readlink -f /etc/resolv.conf)"
mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf
"""
_IPV4, _IPV6, _ICMPV6 = 0x0800, 0x86DD, 58
_NAMES = {6: "tcp", 17: "udp", 1: "icmp"}


class NoIslandError(Exception):
    """Why this machine gives us none."""


class Island:
    """Namespaces of their own, in which ``entry`` starts a command."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="gpuglass-island-")
        self._notes = Path(self._folder.name) / "notes"
        user = [] if is_root() else _AS_ROOT_OF_OWN
        self._keeper = subprocess.Popen(
            [*_UNSHARE, *user, sys.executable, "-m", "tests.e2e.island", self._folder.name],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._keeper.stdout and self._keeper.stderr
        if self._keeper.stdout.readline() != "ready\n":
            self._keeper.wait()
            told = self._keeper.stderr.read().strip().splitlines() or ["it does not say why"]
            raise NoIslandError(told[-1])
        enter = ["nsenter", f"--target={self._keeper.pid}", "--net", "--mount"]
        self.entry = [*enter, *(["--user", "--preserve-credentials"] if user else [])]

    def run(self, code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """A run of Python code in it."""
        return subprocess.run(
            [*self.entry, sys.executable, "-c", code, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def attempts(self) -> list[str]:
        """What tried to leave since the last call: protocol, address, and who is looked for."""
        found = self._notes.read_text().splitlines()
        os.truncate(self._notes, 0)
        return found

    def close(self) -> None:
        """Take it away; what runs in it goes on without a network."""
        self._keeper.terminate()
        self._keeper.wait()
        self._folder.cleanup()


def seen(frame: bytes) -> str | None:
    """What a frame is: None for what kernels say to each other unasked.

    Args:
        frame: As it left, from the Ethernet header on.
    """
    (kind,) = struct.unpack_from("!H", frame, 12)
    packet = frame[14:]
    if kind == _IPV4:
        protocol, start = packet[9], (packet[0] & 0x0F) * 4
        address = socket.inet_ntop(socket.AF_INET, packet[16:20])
    elif kind == _IPV6:
        protocol, start = packet[6], 40
        if protocol in (0, _ICMPV6):
            return None
        address = f"[{socket.inet_ntop(socket.AF_INET6, packet[24:40])}]"
    else:
        return f"ethernet {kind:#06x}"
    port = struct.unpack_from("!H", packet, start + 2)[0] if protocol in (6, 17) else 0
    name = f" {_question(packet[start + 8 :])}" if (protocol, port) == (17, 53) else ""
    return f"{_NAMES.get(protocol, protocol)} {address}:{port}{name}"


def _question(message: bytes) -> str:
    """The name that a DNS message asks for."""
    labels, at = [], 12
    while at < len(message) and message[at]:
        labels.append(message[at + 1 : at + 1 + message[at]].decode(errors="replace"))
        at += 1 + message[at]
    return ".".join(labels)


def main() -> None:
    """Make the network, and note what leaves it."""
    folder = Path(sys.argv[1])
    done = subprocess.run(["sh", "-c", _COMMANDS, "sh", folder], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr.strip() or "it does not say why")
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    end.bind(("beyond", 0))
    with (folder / "notes").open("a", buffering=1) as notes:
        print("ready", flush=True)
        while frame := end.recv(65536):
            if line := seen(frame):
                notes.write(f"{line}\n")


if __name__ == "__main__":
    main()
